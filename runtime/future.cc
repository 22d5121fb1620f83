#include "weft/runtime/future.h"

#include "absl/strings/str_cat.h"
#include "weft/runtime/internal/check.h"
#include "weft/runtime/internal/wait_note.h"

namespace weft::internal {

void JoinableTask::Await(Io& io) {
  bool interruptible = true;
  uint32_t state = state_.load(std::memory_order_acquire);
  if (state == kEnded) return;
  const WaitNote note({.object = EndAwaitedOn(),
                       .what = "the end of task",
                       .by = Awaited::By::kItsTasks,
                       .task = id()});
  while (state != kEnded) {
    // kAwaited tells AnnounceEnd that somebody has to be woken.
    if (state == kRunning && !state_.compare_exchange_weak(
                                 state, kAwaited, std::memory_order_acquire)) {
      continue;
    }
    const WakeReason reason =
        io.FutexWait(state_, kAwaited, {.interruptible = interruptible});
    if (reason == WakeReason::kInterrupted) {
      (void)io.CurrentTask("Future::Await").GiveUp();
      RequestCancel();
      interruptible = false;
    }
    state = state_.load(std::memory_order_acquire);
  }
}

void JoinableTask::RunInline(const absl::Status& refused) {
  if (absl::IsInvalidArgument(refused)) {
    Misuse(absl::StrCat("Async: ", refused.message()));
  }
  Run();
  AnnounceEnd();
}

bool JoinableTask::Watch(EndWatcher& watcher) {
  watcher_ = &watcher;
  uint32_t state = kRunning;
  // Release: AnnounceEnd sees the watcher.
  if (state_.compare_exchange_strong(state, kWatched,
                                     std::memory_order_acq_rel)) {
    return true;
  }
  if (state == kEnded) return false;
  Misuse(
      "a Future is used twice at once; one task at a time may await it, or "
      "have it in one branch of a Select");
}

void JoinableTask::Unwatch(Io& io) {
  uint32_t state = kWatched;
  if (state_.compare_exchange_strong(state, kRunning,
                                     std::memory_order_acquire)) {
    return;
  }
  while (state == kTelling) {
    io.FutexWait(state_, kTelling, {.interruptible = false});
    state = state_.load(std::memory_order_acquire);
  }
}

void JoinableTask::AnnounceEnd() {
  Io& own = io();
  uint32_t state = state_.load(std::memory_order_relaxed);
  // Release: the waiter sees what the task wrote. After it was set to kEnded
  // the waiter may let go of the task; only its address is used below.
  while (!state_.compare_exchange_weak(
      state, state == kWatched ? kTelling : kEnded, std::memory_order_acq_rel,
      std::memory_order_relaxed)) {
  }
  if (state == kAwaited) own.FutexWake(state_, UINT32_MAX);
  if (state != kWatched) return;
  EndWatcher& watcher = *watcher_;
  const bool claimed = watcher.Claim();
  state_.store(kEnded, std::memory_order_release);
  if (claimed) {
    watcher.Resume(own);
  } else {
    // It may be in Unwatch already.
    own.FutexWake(state_, UINT32_MAX);
  }
}

}  // namespace weft::internal
