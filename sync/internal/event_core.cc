// To those in Wait the word is all there is to an event: Set writes it and then
// wakes by its address only, so the first task that Wait lets go may destroy
// the event. While a Select watches, Set writes under lock_: a watcher is then
// inside, and has to be resumed or to take lock_ to get out.
#include "weft/sync/internal/event_core.h"

#include <mutex>

#include "weft/runtime/internal/check.h"
#include "weft/runtime/internal/wait_note.h"
#include "weft/sync/internal/compiled_atomics.h"
#include "weft/sync/internal/require_task.h"
#include "weft/sync/internal/wait_status.h"

namespace weft::internal {

template <class Atomics>
EventCore<Atomics>::~EventCore() {
  if (waiters() == 0) return;
  Misuse(
      "an Event was destroyed while a task waits for it; await the tasks that "
      "use an event before it is destroyed");
}

template <class Atomics>
void EventCore<Atomics>::Set(Io& io) {
  const std::atomic<uint32_t>& address = WordOf(word_);
  uint32_t seen = word_.load(std::memory_order_relaxed);
  for (;;) {
    if ((seen & kWatched) != 0) {
      if (SetWatched(io)) return;
      seen = word_.load(std::memory_order_relaxed);
    } else if (word_.compare_exchange_weak(seen, seen | kSet,
                                           std::memory_order_release,
                                           std::memory_order_relaxed)) {
      // Writes even if it is set, so that each Set is visible to waits after
      // it.
      if ((seen & kSet) == 0) io.FutexWake(address, UINT32_MAX);
      return;
    }
  }
}

template <class Atomics>
bool EventCore<Atomics>::SetWatched(Io& io) {
  const std::atomic<uint32_t>& address = WordOf(word_);
  WaitList<Watcher> claimed;
  {
    const std::lock_guard guard(lock_);
    if (watchers_.empty()) return false;
    while (Watcher* const watcher = watchers_.PopClaimed()) {
      watcher->told = true;
      claimed.PushBack(*watcher);
    }
    // From kWatched to kSet.
    word_.fetch_xor(kWatched | kSet, std::memory_order_release);
  }
  io.FutexWake(address, UINT32_MAX);
  claimed.ResumeAll(io);
  return true;
}

template <class Atomics>
void EventCore<Atomics>::Reset() {
  uint32_t seen = word_.load(std::memory_order_relaxed);
  while ((seen & kSet) != 0) {
    // Adding one carries kSet into the number of resets, which does not reach
    // kWatched.
    if (word_.compare_exchange_weak(seen, (seen + 1) & ~kWatched,
                                    std::memory_order_relaxed)) {
      return;
    }
  }
}

template <class Atomics>
absl::Status EventCore<Atomics>::Wait(Io& io, MonotonicTime deadline) {
  const Task& task = RequireTask(io, "Event::Wait");
  if (absl::Status status = CheckScopes(task, "wait"); !status.ok()) {
    return status;
  }
  const uint32_t before = SetsAndResets();
  if ((before & kSet) != 0) return absl::OkStatus();
  waiters_.fetch_add(1, std::memory_order_relaxed);
  WakeReason reason = WakeReason::kWoken;
  uint32_t seen = Word();
  const WaitNote note({.object = this, .what = "event"});
  // A wake alone says nothing: it may have been meant for a wait that used
  // this address before. A Set that came together with a cancel counts.
  while (
      (seen & ~kWatched) == before &&
      (reason == WakeReason::kWoken || reason == WakeReason::kValueDiffered)) {
    reason = io.FutexWait(WordOf(word_), seen, {.deadline = deadline});
    seen = Word();
  }
  if ((seen & ~kWatched) != before) reason = WakeReason::kWoken;
  waiters_.fetch_sub(1, std::memory_order_relaxed);
  return WaitStatus(task, reason, "wait");
}

template <class Atomics>
bool EventCore<Atomics>::TryMarkWatched() {
  uint32_t seen = Word();
  while ((seen & kSet) == 0) {
    if (word_.compare_exchange_weak(seen, seen | kWatched,
                                    std::memory_order_acquire)) {
      return true;
    }
  }
  return false;
}

template <class Atomics>
bool EventCore<Atomics>::Branch::Enlist(Parker<Atomics>& parker) {
  const std::lock_guard guard(event_.lock_);
  if (!event_.TryMarkWatched()) return true;
  event_.waiters_.fetch_add(1, std::memory_order_relaxed);
  event_.watchers_.PushBack(watcher_.emplace(parker));
  return false;
}

template <class Atomics>
bool EventCore<Atomics>::Branch::Settle(Io&) {
  if (!watcher_.has_value()) return false;
  if (!watcher_->told) {
    const std::lock_guard guard(event_.lock_);
    if (event_.watchers_.Remove(*watcher_) && event_.watchers_.empty()) {
      event_.word_.fetch_and(~kWatched, std::memory_order_relaxed);
    }
  }
  event_.waiters_.fetch_sub(1, std::memory_order_relaxed);
  return watcher_->told;
}

template class EventCore<CompiledAtomics>;

}  // namespace weft::internal
