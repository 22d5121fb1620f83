// Deadlines, sleeping tasks and cancels on weft: one job per run, one line of
// JSON. The programs in peers/ do the same jobs.
//
//   cancellation_weft --job deadline --backend evented --count 1000000
//
//   read              reads one byte that is there, `count` times
//   scoped-read       the same, each read in a deadline scope of its own
//   deadline          both by turns: CPU nanoseconds of each and what the scope
//                     adds
//   sleepers          `count` tasks that sleep for --seconds: wall seconds from
//                     the first spawn to the end of the last task, and bytes
//                     per task when all sleep
//   cancel-read       cancels a task that waits for a byte, `count` times:
//   cancel-sleep      microseconds from just before Cancel(), on another
//   cancel-semaphore  thread, to the blocked call having returned

#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "weft/backends/run.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/status.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/semaphore.h"

namespace {

using std::chrono::microseconds;

struct Settings {
  weft::Options weft;
  std::string job;
  uint64_t count = 1000;
  uint32_t seconds = 1;
};

double CpuNanoseconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 +
         static_cast<double>(now.tv_nsec);
}

double Median(std::vector<double>& values) {
  const auto middle =
      values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

class SocketPair {
 public:
  SocketPair() {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds_) != 0) {
      std::perror("socketpair");
      std::exit(EXIT_FAILURE);
    }
  }
  SocketPair(const SocketPair&) = delete;
  SocketPair& operator=(const SocketPair&) = delete;
  ~SocketPair() {
    close(fds_[0]);
    close(fds_[1]);
  }

  int reader() const { return fds_[0]; }
  int writer() const { return fds_[1]; }

 private:
  int fds_[2];
};

// Reads --------------------------------------------------------------------

// Reads that are measured together. So many bytes are put into the socket
// first, so that every read finds one.
constexpr uint64_t kBatch = 4096;

int64_t ReadByte(weft::Io& io, int fd) {
  char byte;
  return io.Perform(weft::op::Recv{.fd = fd, .data = &byte, .size = 1});
}

void Expect(int64_t wanted, int64_t result, const char* what) {
  if (wanted == result) return;
  std::fprintf(stderr, "%s: %lld\n", what, static_cast<long long>(result));
  std::exit(EXIT_FAILURE);
}

// CPU nanoseconds per read.
template <class Read>
double MeasureBatch(const SocketPair& sockets, Read read) {
  static const char bytes[kBatch] = {};
  Expect(kBatch, send(sockets.writer(), bytes, kBatch, 0), "send");
  const double start = CpuNanoseconds();
  for (uint64_t i = 0; i < kBatch; ++i) Expect(1, read(), "read");
  return (CpuNanoseconds() - start) / kBatch;
}

void Reads(weft::Io& io, const Settings& settings) {
  const SocketPair sockets;
  const int fd = sockets.reader();
  const auto plain = [&] { return ReadByte(io, fd); };
  const auto scoped = [&] {
    const weft::Deadline deadline(io, std::chrono::seconds(10));
    return ReadByte(io, fd);
  };
  std::vector<double> plain_ns;
  std::vector<double> scoped_ns;
  std::vector<double> added_ns;
  for (uint64_t done = 0; done < settings.count; done += kBatch) {
    const double without =
        settings.job == "scoped-read" ? 0 : MeasureBatch(sockets, plain);
    const double with =
        settings.job == "read" ? 0 : MeasureBatch(sockets, scoped);
    plain_ns.push_back(without);
    scoped_ns.push_back(with);
    added_ns.push_back(with - without);
  }
  std::printf(
      "{\"job\": \"%s\", \"reads\": %zu, \"read_ns\": %.1f, "
      "\"scoped_read_ns\": %.1f, \"added_ns\": %.1f}\n",
      settings.job.c_str(), plain_ns.size() * kBatch, Median(plain_ns),
      Median(scoped_ns), Median(added_ns));
}

// Sleepers -----------------------------------------------------------------

// Bytes of memory that this process has now: pages, and the tables that say
// where they are.
uint64_t Memory() {
  std::ifstream status("/proc/self/status");
  uint64_t sum = 0;
  for (std::string line; std::getline(status, line);) {
    const std::string_view text = line;
    if (!text.starts_with("VmRSS:") && !text.starts_with("VmPTE:")) continue;
    sum += std::strtoull(line.c_str() + line.find(':') + 1, nullptr, 10);
  }
  return sum * 1024;
}

template <weft::Backend B>
absl::Status Sleepers(B& io, const Settings& settings) {
  std::atomic<uint64_t> started{0};
  std::atomic<uint64_t> ended{0};
  std::atomic<uint64_t> memory{0};
  std::atomic<uint64_t> alive{1};
  const uint64_t before = Memory();
  const weft::MonotonicTime start = io.Now();
  const auto seconds = [&] {
    return std::chrono::duration<double>(io.Now() - start).count();
  };
  weft::TaskGroup<B> group(io);
  for (uint64_t i = 0; i < settings.count; ++i) {
    const bool spawned = group.Spawn([&](B& own) {
      if (started.fetch_add(1) + 1 == settings.count) {
        alive = settings.count - ended.load();
        memory = Memory();
      }
      const absl::Status slept =
          weft::Sleep(own, std::chrono::seconds(settings.seconds));
      ended.fetch_add(1);
      return slept;
    });
    if (!spawned) break;
  }
  const double spawned_s = seconds();
  if (absl::Status status = group.Await(io); !status.ok()) return status;
  std::printf(
      "{\"job\": \"sleepers\", \"tasks\": %llu, \"wall_s\": %.4f, "
      "\"spawn_s\": %.4f, \"bytes_per_task\": %.0f, \"measured_tasks\": "
      "%llu}\n",
      static_cast<unsigned long long>(settings.count), seconds(), spawned_s,
      static_cast<double>(memory - before) / static_cast<double>(alive),
      static_cast<unsigned long long>(alive));
  return absl::OkStatus();
}

// Cancels ------------------------------------------------------------------

// A thread that cancels what the task blocks in, round by round.
class Canceller {
 public:
  Canceller() : thread_([this] { Loop(); }) {}
  ~Canceller() { thread_.join(); }

  // The task: about to block in `scope`. The last round is told by null.
  void Announce(weft::CancelScope* scope) {
    scope_ = scope;
    round_.fetch_add(1);
    round_.notify_one();
  }

  // The task: when Cancel was called. Waits until it has returned.
  weft::MonotonicTime CancelledAt() {
    const uint32_t round = round_;
    for (uint32_t done = done_; done != round; done = done_) done_.wait(done);
    return cancelled_at_;
  }

 private:
  void Loop() {
    for (uint32_t round = 0;; ++round) {
      round_.wait(round);
      if (scope_ == nullptr) return;
      // So that the task has gone to sleep, and its worker too. Whether it has
      // is left open: a cancel that comes early only looks faster.
      std::this_thread::sleep_for(microseconds(100));
      cancelled_at_ = weft::internal::KernelMonotonicNow();
      scope_->Cancel();
      done_ = round + 1;
      done_.notify_one();
    }
  }

  weft::CancelScope* scope_ = nullptr;     // handed over by round_
  weft::MonotonicTime cancelled_at_ = {};  // handed over by done_
  std::atomic<uint32_t> round_{0};
  std::atomic<uint32_t> done_{0};
  std::thread thread_;
};

void Cancels(weft::Io& io, const Settings& settings,
             const std::function<bool()>& block) {
  std::vector<double> latency_us;
  {
    Canceller canceller;
    for (uint64_t i = 0; i < settings.count; ++i) {
      weft::CancelScope scope(io);
      canceller.Announce(&scope);
      const bool cancelled = block();
      const weft::MonotonicTime returned = io.Now();
      Expect(true, cancelled, "cancelled");
      const std::chrono::duration<double, std::micro> span =
          returned - canceller.CancelledAt();
      latency_us.push_back(span.count());
    }
    canceller.Announce(nullptr);
  }
  std::sort(latency_us.begin(), latency_us.end());
  std::printf(
      "{\"job\": \"%s\", \"cancels\": %zu, \"p50_us\": %.1f, \"p99_us\": "
      "%.1f, \"max_us\": %.1f}\n",
      settings.job.c_str(), latency_us.size(),
      latency_us[latency_us.size() / 2],
      latency_us[latency_us.size() - 1 - latency_us.size() / 100],
      latency_us.back());
}

// Command line -------------------------------------------------------------

template <weft::Backend B>
absl::Status RunJob(B& io, const Settings& settings) {
  const std::string& job = settings.job;
  if (job == "read" || job == "scoped-read" || job == "deadline") {
    Reads(io, settings);
  } else if (job == "sleepers") {
    return Sleepers(io, settings);
  } else if (job == "cancel-read") {
    const SocketPair sockets;
    Cancels(io, settings,
            [&] { return ReadByte(io, sockets.reader()) == -ECANCELED; });
  } else if (job == "cancel-sleep") {
    Cancels(io, settings, [&] {
      return absl::IsCancelled(weft::Sleep(io, std::chrono::hours(1)));
    });
  } else if (job == "cancel-semaphore") {
    weft::Semaphore<B> semaphore(0, 1);
    Cancels(io, settings,
            [&] { return absl::IsCancelled(semaphore.Acquire(io)); });
  } else {
    return absl::InvalidArgumentError(absl::StrCat("no such job: ", job));
  }
  return absl::OkStatus();
}

bool Set(Settings& settings, std::string_view name, std::string_view value) {
  const absl::string_view text(value.data(), value.size());
  if (name == "--job") {
    settings.job = value;
    return true;
  }
  if (name == "--count") {
    return absl::SimpleAtoi(text, &settings.count) && settings.count > 0;
  }
  if (name == "--seconds") return absl::SimpleAtoi(text, &settings.seconds);
  if (name == "--backend") return settings.weft.Set("backend", value).ok();
  if (name == "--workers") return settings.weft.Set("workers", value).ok();
  if (name == "--stack-size")
    return settings.weft.Set("stack_size", value).ok();
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  bool ok = argc % 2 == 1;
  for (int i = 1; ok && i + 1 < argc; i += 2) {
    ok = Set(settings, argv[i], argv[i + 1]);
  }
  if (!ok) {
    std::fprintf(stderr,
                 "usage: %s --job JOB [--backend NAME] [--count N] "
                 "[--seconds N] [--workers N] [--stack-size BYTES]\n",
                 argv[0]);
    return EXIT_FAILURE;
  }
  return weft::RunMain(settings.weft,
                       [&](auto& io) { return RunJob(io, settings); });
}
