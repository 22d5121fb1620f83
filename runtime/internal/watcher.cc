#include "weft/runtime/internal/watcher.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <system_error>

#include "absl/strings/str_cat.h"
#include "weft/runtime/internal/dump_signal.h"
#include "weft/runtime/internal/thread_status.h"
#include "weft/runtime/internal/write_error.h"
#include "weft/runtime/task_dump.h"

namespace weft::internal {
Watcher::~Watcher() { Stop(); }

absl::Status Watcher::Start(const Options& options) {
  options_ = options;
  if (options.dump_signal == 0 && options.look_every == Duration(0)) {
    return absl::OkStatus();
  }
  try {
    thread_ = StartWithoutSignals([this] { Serve(); });
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(
        absl::StrCat("start the watcher: ", error.what()));
  }
  if (options.dump_signal == 0) return absl::OkStatus();
  absl::Status status = DumpSignal::Add(*this, options.dump_signal);
  has_signal_ = status.ok();
  if (!status.ok()) Stop();
  return status;
}

void Watcher::Stop() {
  if (!thread_.joinable()) return;
  if (has_signal_) DumpSignal::Remove(*this);
  stopping_.store(true, std::memory_order_seq_cst);
  Ring();
  thread_.join();
}

void Watcher::AskForDump() {
  dump_asked_.store(true, std::memory_order_seq_cst);
  Ring();
}

void Watcher::WakeUp() {
  if (asleep_.exchange(false, std::memory_order_seq_cst)) Ring();
}

void Watcher::Ring() {
  bell_.fetch_add(1, std::memory_order_seq_cst);
  syscall(SYS_futex, &bell_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

void Watcher::AwaitBell(uint32_t seen, Duration span) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(span);
  const timespec timeout = {.tv_sec = seconds.count(),
                            .tv_nsec = (span - seconds).count()};
  syscall(SYS_futex, &bell_, FUTEX_WAIT_PRIVATE, seen,
          span == Duration(0) ? nullptr : &timeout, nullptr, 0);
}

void Watcher::Serve() {
  pthread_setname_np(pthread_self(), "weft watcher");
  for (;;) {
    // Read before the conditions: a ring that comes after them ends the wait.
    const uint32_t seen = bell_.load(std::memory_order_seq_cst);
    if (stopping_.load(std::memory_order_seq_cst)) return;
    if (dump_asked_.exchange(false, std::memory_order_seq_cst)) {
      WriteError(DumpTasks(io_));
    }
    Duration span{};
    if (options_.look_every != Duration(0)) {
      bool again = Look();
      if (!again) {
        // Partner of the load in Wake: first say so, then look once more.
        asleep_.store(true, std::memory_order_seq_cst);
        again = HasToLook();
        if (again) asleep_.store(false, std::memory_order_seq_cst);
      }
      if (again) span = options_.look_every;
    }
    AwaitBell(seen, span);
    asleep_.store(false, std::memory_order_seq_cst);
  }
}

}  // namespace weft::internal
