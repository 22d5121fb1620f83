#include "weft/backends/sim/internal/blocked_watch.h"

#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "weft/runtime/internal/thread_status.h"
#include "weft/runtime/internal/write_error.h"

namespace weft::sim {
namespace {

// Of the limit, looks are this part apart. A program that was stopped for a
// while is looked at no more often for that.
constexpr int kLooks = 10;

// How often the thread has stopped to run, if it sleeps now.
std::optional<uint64_t> SwitchesOfSleeper(pid_t thread) {
  const internal::ThreadStatus status = internal::ThreadStatus::Of(thread);
  return status.state == 'S' ? status.switches : std::nullopt;
}

}  // namespace

BlockedWatch::BlockedWatch(Duration limit)
    : limit_(limit), thread_(pthread_self()), thread_id_(gettid()) {
  if (limit_ > Duration(0)) {
    watcher_ = internal::StartWithoutSignals([this] { Watch(); });
  }
}

BlockedWatch::~BlockedWatch() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  ending_.notify_one();
  if (watcher_.joinable()) watcher_.join();
}

bool BlockedWatch::WaitForNextLook() {
  std::unique_lock lock(mutex_);
  return !ending_.wait_for(lock, limit_ / kLooks, [this] { return ended_; });
}

void BlockedWatch::Watch() {
  std::optional<uint64_t> seen;
  int looks = 0;
  while (WaitForNextLook()) {
    const std::optional<uint64_t> now = SwitchesOfSleeper(thread_id_);
    looks = now.has_value() && now == seen ? looks + 1 : 0;
    seen = now;
    if (looks < kLooks) continue;
    internal::WriteError(absl::StrCat(
        "weft: sim: a task has blocked the thread for ",
        absl::FormatDuration(absl::FromChrono(limit_)),
        ", and with it all tasks: it waits by means that are not weft's, such "
        "as a std::mutex that another task holds across a wait\n"));
    pthread_kill(thread_, SIGABRT);
    return;
  }
}

}  // namespace weft::sim
