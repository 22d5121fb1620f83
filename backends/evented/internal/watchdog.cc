#include "weft/backends/evented/internal/watchdog.h"

#include <sys/syscall.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "weft/backends/evented/internal/worker_group.h"
#include "weft/runtime/internal/backtrace.h"
#include "weft/runtime/internal/dump_signal.h"
#include "weft/runtime/internal/task_inspection.h"
#include "weft/runtime/internal/write_error.h"

namespace weft::internal {
namespace {

std::string OfThread(int32_t thread, const char* file) {
  std::ifstream stream(absl::StrCat("/proc/self/task/", thread, "/", file));
  std::string line;
  std::getline(stream, line);
  return line;
}

// Whether the thread is blocked in the kernel; proc(5).
bool IsBlocked(int32_t thread) {
  const std::string line = OfThread(thread, "stat");
  // After the name, in which there may be anything.
  const size_t state = line.rfind(") ");
  return state != std::string::npos && state + 2 < line.size() &&
         (line[state + 2] == 'S' || line[state + 2] == 'D');
}

// Those that tasks are found in; null for others.
const char* NameOfSystemCall(int number) {
  struct SystemCall {
    int number;
    const char* name;
  };
  static constexpr SystemCall kCalls[] = {
    {SYS_read, "read(2)"},
    {SYS_pread64, "pread(2)"},
    {SYS_readv, "readv(2)"},
    {SYS_write, "write(2)"},
    {SYS_pwrite64, "pwrite(2)"},
    {SYS_writev, "writev(2)"},
    {SYS_fsync, "fsync(2)"},
    {SYS_fdatasync, "fdatasync(2)"},
    {SYS_openat, "openat(2)"},
    {SYS_flock, "flock(2)"},
    {SYS_nanosleep, "nanosleep(2)"},
    {SYS_clock_nanosleep, "clock_nanosleep(2)"},
    {SYS_ppoll, "ppoll(2)"},
    {SYS_epoll_pwait, "epoll_pwait(2)"},
    {SYS_connect, "connect(2)"},
    {SYS_accept, "accept(2)"},
    {SYS_accept4, "accept4(2)"},
    {SYS_recvfrom, "recvfrom(2)"},
    {SYS_recvmsg, "recvmsg(2)"},
    {SYS_sendto, "sendto(2)"},
    {SYS_sendmsg, "sendmsg(2)"},
    {SYS_wait4, "wait4(2)"},
    {SYS_waitid, "waitid(2)"},
// Newer architectures have only the calls above.
#if defined(SYS_poll)
    {SYS_poll, "poll(2)"},
    {SYS_select, "select(2)"},
    {SYS_epoll_wait, "epoll_wait(2)"},
#endif
  };
  const auto* const found = std::find_if(
      std::begin(kCalls), std::end(kCalls),
      [number](const SystemCall& call) { return call.number == number; });
  return found == std::end(kCalls) ? nullptr : found->name;
}

std::string WhereBlocked(int32_t thread) {
  const std::string line = OfThread(thread, "syscall");
  int number = -1;
  std::from_chars(line.data(), line.data() + line.size(), number);
  if (number == SYS_futex) {
    return "is blocked in futex(2): it waits for a lock that is not weft's, "
           "such as a std::mutex that was held across a wait";
  }
  // Such as "running", or nothing where it may not be read.
  if (number < 0) return "is blocked in the kernel";
  const char* const name = NameOfSystemCall(number);
  return absl::StrCat(
      "is blocked in ",
      name == nullptr ? absl::StrCat("system call ", number) : name,
      "; what takes an io would let others run");
}

}  // namespace

Watchdog::Watchdog(WorkerGroup& group, Duration limit)
    : Watcher(group.io()),
      group_(group),
      limit_(limit),
      seen_(group.workers().size()) {}

Duration Watchdog::LookEvery(Duration limit) {
  if (limit == Duration(0)) return limit;
  return std::max<Duration>(limit / 4, std::chrono::milliseconds(1));
}

bool Watchdog::HasToLook() { return !group_.AllIdle(); }

bool Watchdog::Look() {
  if (limit_ == Duration(0)) return false;
  bool moves = false;
  const MonotonicTime now = KernelMonotonicNow();
  // A look that comes late counts as one in time: the process may have been
  // stopped meanwhile.
  const Duration passed = std::min(now - looked_at_, LookEvery(limit_));
  looked_at_ = now;
  for (size_t i = 0; i < seen_.size(); ++i) {
    Worker& worker = *group_.workers()[i];
    Seen& seen = seen_[i];
    const uint64_t progress = worker.progress();
    const bool runs = worker.RunsAny();
    if (runs || runs != seen.runs || progress != seen.progress) moves = true;
    if (!runs || !seen.runs || progress != seen.progress) {
      seen = {.progress = progress,
              .runs = runs,
              .reported = false,
              .span = Duration(0),
              .processor_time = runs ? worker.ProcessorTime() : Duration(0)};
    } else if (!seen.reported) {
      seen.span += passed;
      if (seen.span >= limit_) seen.reported = Report(worker, seen);
    }
  }
  return moves;
}

bool Watchdog::Report(Worker& worker, const Seen& seen) {
  // Of its own time, for a worker that others keep off the processor is late
  // and not stuck; and not of the whole span, for then it would never be found
  // out.
  const bool computes =
      worker.ProcessorTime() - seen.processor_time >= limit_ / 2;
  if (!computes && !IsBlocked(worker.thread_id())) return false;
  std::optional<TaskSnapshot> task;
  TaskRegistry::ForEach([&](const TaskRecord& record) {
    if (record.instance.load(std::memory_order_relaxed) == &io() &&
        worker.Runs(record)) {
      task.emplace(record);
    }
  });
  // Whatever it was, it is over.
  if (!task.has_value() || worker.progress() != seen.progress) return false;
  Backtrace backtrace;
  const bool has_backtrace =
      DumpSignal::TakeBacktraceOf(worker.thread_id(), backtrace);
  std::string text = absl::StrCat(
      "weft: worker ", worker.index(), " has not switched for ",
      absl::FormatDuration(absl::FromChrono(
          std::chrono::duration_cast<std::chrono::milliseconds>(seen.span))),
      ": task ", task->id, " '", task->name, "'",
      task->place.empty() ? "" : absl::StrCat(" (", task->place, ")"), " ",
      computes ? "computes; let it Yield now and then"
               : WhereBlocked(worker.thread_id()),
      "\n");
  Symbolizer symbolizer;
  for (size_t i = 0; i < backtrace.size; ++i) {
    absl::StrAppend(&text, "    #", i, " ",
                    symbolizer.Describe(backtrace.frames[i]), "\n");
  }
  if (!has_backtrace) {
    absl::StrAppend(&text, "    where: 'weft bt ", task->id,
                    "' in gdb, or set the option dump_signal\n");
  }
  WriteError(text);
  return true;
}

}  // namespace weft::internal
