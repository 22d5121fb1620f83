#include "weft/backends/evented/internal/watchdog.h"

#include <sys/syscall.h>

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "weft/backends/evented/internal/worker_group.h"
#include "weft/runtime/internal/backtrace.h"
#include "weft/runtime/internal/dump_signal.h"
#include "weft/runtime/internal/task_inspection.h"
#include "weft/runtime/internal/thread_status.h"
#include "weft/runtime/internal/write_error.h"

namespace weft::internal {
namespace {

bool IsBlocked(int32_t thread) {
  const char state = ThreadStatus::Of(thread).state;
  return state == 'S' || state == 'D';
}

std::string Describe(std::optional<int64_t> system_call) {
  if (!system_call.has_value()) return "is blocked in the kernel";
  return absl::StrCat(
      "is blocked in ", SystemCallName(*system_call),
      system_call == SYS_futex
          ? ": it waits for a lock that is not weft's, such as a std::mutex "
            "that was held across a wait"
          : "");
}

// Whether the kernel begins the call again after a handler with SA_RESTART, so
// that the task notices nothing of a signal; signal(7).
bool OutlivesSignals(std::optional<int64_t> system_call) {
  switch (system_call.value_or(-1)) {
    case SYS_futex:
    case SYS_read:
    case SYS_readv:
    case SYS_write:
    case SYS_writev:
    case SYS_openat:
    case SYS_flock:
    case SYS_wait4:
    case SYS_waitid:
      return true;
    default:
      return false;
  }
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
              .since = now,
              .processor_time = runs ? worker.ProcessorTime() : Duration(0)};
    } else if (!seen.reported && now - seen.since >= limit_) {
      seen.reported = Report(worker, seen, now - seen.since);
    }
  }
  return moves;
}

bool Watchdog::Report(Worker& worker, const Seen& seen, Duration span) {
  // Of its own time, for a worker that others keep off the processor is late
  // and not stuck; and not of `span`, for then it would never be found out.
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
  const std::optional<int64_t> system_call = SystemCallOf(worker.thread_id());
  Backtrace backtrace;
  const bool has_backtrace =
      computes || OutlivesSignals(system_call)
          ? DumpSignal::BorrowBacktraceOf(worker.thread_id(), backtrace)
          : DumpSignal::TakeBacktraceOf(worker.thread_id(), backtrace);
  std::string text = absl::StrCat(
      "weft: worker ", worker.index(), " has not switched for ",
      absl::FormatDuration(absl::FromChrono(
          std::chrono::duration_cast<std::chrono::milliseconds>(span))),
      ": task ", task->id, " '", task->name, "'",
      task->place.empty() ? "" : absl::StrCat(" (", task->place, ")"), " ",
      computes ? "computes; let it Yield now and then" : Describe(system_call),
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
