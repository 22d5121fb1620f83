// What parked fibers take: one line of JSON.
//
//   stacks_weft --count 100000
//
// starts `count` tasks on an Evented that each wait for an event, and prints,
// while all wait: how many are alive, bytes of resident memory and of page
// tables for each, mappings of the process, and seconds from the first spawn to
// the last wait. Where a task is refused it says why, and how many are alive.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>

#include "absl/strings/numbers.h"
#include "weft/backends/run.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/event.h"

namespace {

// A line of /proc/self/status, in bytes.
double Status(std::string_view name) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(name)) continue;
    return std::stod(line.substr(name.size())) * 1024;
  }
  return 0;
}

uint64_t Mappings() {
  std::ifstream file("/proc/self/maps");
  uint64_t count = 0;
  for (std::string line; std::getline(file, line);) ++count;
  return count;
}

double Seconds() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

absl::Status Park(weft::Evented& io, uint64_t count) {
  const double resident = Status("VmRSS:");
  const double tables = Status("VmPTE:");
  const double begin = Seconds();
  weft::Event<weft::Evented> end;
  std::atomic<uint64_t> waiting{0};
  uint64_t alive = 0;
  weft::TaskGroup<weft::Evented> group(io);
  while (alive < count && group.Spawn([&](weft::Evented& own) {
    waiting.fetch_add(1, std::memory_order_relaxed);
    (void)end.Wait(own);
  })) {
    ++alive;
    // As a server that accepts does, or no task would start before the last.
    if (alive % 64 == 0) io.Yield();
  }
  while (waiting.load(std::memory_order_relaxed) < alive) io.Yield();
  const double seconds = Seconds() - begin;
  const auto each = [&](double bytes) {
    return bytes / static_cast<double>(alive == 0 ? 1 : alive);
  };
  std::printf(
      "{\"fibers\": %llu, \"alive\": %llu, \"resident\": %.1f, "
      "\"page_tables\": %.1f, \"mappings\": %llu, \"seconds\": %.3f}\n",
      static_cast<unsigned long long>(count),
      static_cast<unsigned long long>(alive), each(Status("VmRSS:") - resident),
      each(Status("VmPTE:") - tables),
      static_cast<unsigned long long>(Mappings()), seconds);
  std::fflush(stdout);
  end.Set(io);
  const absl::Status refused = group.Await(io);
  if (alive < count) {
    std::fprintf(stderr, "stacks_weft: %s\n",
                 std::string(refused.message()).c_str());
  }
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t count = 0;
  if (argc != 3 || std::string_view(argv[1]) != "--count" ||
      !absl::SimpleAtoi(argv[2], &count)) {
    std::fprintf(stderr, "usage: stacks_weft --count N\n");
    return 2;
  }
  const auto io = weft::Evented::Create();
  if (!io.ok()) {
    weft::internal::PrintError(io.status());
    return 1;
  }
  const absl::Status status =
      (*io)->Run([count](weft::Evented& own) { return Park(own, count); });
  return status.ok() ? 0 : 1;
}
