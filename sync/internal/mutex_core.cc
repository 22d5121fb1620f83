// How the mutex stays fair without a hand-over at every unlock.
//
// An unlock lets go of the lock and wakes the first waiter, which becomes the
// contender. Until it runs, others may take the lock: most locks are held for
// so short a time that this costs nobody anything and saves switches. If the
// contender finds the lock taken, it was overtaken: it goes back to the front
// of the queue, and the next unlock gives the lock to it directly. So a waiter
// at the front loses at most one race.
//
// What holds whenever lock_ is free:
//
//   1. kQueued is set exactly if waiters_ is not empty. So the unlock of a
//      mutex with waiters comes to UnlockContended.
//   2. If the mutex is unlocked and waiters_ is not empty, there is a
//      contender. So no waiter sleeps while nobody is about to look.
//   3. The contender has been resumed, or will be by a task that does not park
//      in between, and takes lock_ before it does anything else.
//
// Leaving with empty hands keeps this: a waiter that gives up in the queue
// only takes itself off (1), and was not the contender (2). A contender does
// not give up: it takes the mutex or, if that is locked, goes back into the
// queue, from where the unlock of the holder sees it (1). A lock that was
// granted cannot be declined: the claim decides, and the waiter accepts.
//
// **Lifetime.** Whoever locks next may destroy the mutex after its unlock. So
// UnlockContended touches it no more once somebody can have done that: either
// the releasing write is the last access (TryReleaseUncontended), or a waiter
// is inside that must take lock_ after it (or be resumed after it) to get out.
#include "weft/sync/internal/mutex_core.h"

#include <mutex>

#include "weft/runtime/internal/wait_note.h"
#include "weft/sync/internal/compiled_atomics.h"

namespace weft::internal {

template <class Atomics>
bool MutexCore<Atomics>::TryTake() {
  uint32_t seen = word_.load(std::memory_order_relaxed);
  while ((seen & kLocked) == 0) {
    if (word_.compare_exchange_weak(seen, seen | kLocked,
                                    std::memory_order_acquire,
                                    std::memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

template <class Atomics>
bool MutexCore<Atomics>::TakeOrSetQueued() {
  uint32_t seen = word_.load(std::memory_order_relaxed);
  for (;;) {
    const bool take = (seen & kLocked) == 0;
    if (word_.compare_exchange_weak(seen, seen | (take ? kLocked : kQueued),
                                    std::memory_order_acquire,
                                    std::memory_order_relaxed)) {
      return take;
    }
  }
}

template <class Atomics>
void MutexCore<Atomics>::ReleaseLocked() {
  word_.fetch_and(~uint32_t{kLocked}, std::memory_order_release);
}

template <class Atomics>
void MutexCore<Atomics>::UpdateQueued() {
  if (waiters_.empty()) {
    word_.fetch_and(~uint32_t{kQueued}, std::memory_order_relaxed);
  }
}

template <class Atomics>
bool MutexCore<Atomics>::LockContended(Io& io, const Task& task,
                                       MonotonicTime deadline) {
  if (HeldBy(task)) {
    Misuse(
        "Mutex::Lock or TryLockFor by the task that holds the mutex already, "
        "which would "
        "wait for itself for ever; split the function into one that locks and "
        "one that expects the mutex to be held");
  }
  const WaitNote note(
      {.object = this, .what = "mutex", .by = Awaited::By::kHolders});
  Waiter self;
  {
    const std::lock_guard guard(lock_);
    if (TakeOrSetQueued()) return true;
    waiters_.PushBack(self);
  }
  for (;;) {
    const WakeReason reason =
        self.parker.Park(io, {.deadline = deadline, .interruptible = false});
    if (self.granted) return true;
    const std::lock_guard guard(lock_);
    if (reason != WakeReason::kWoken) {
      waiters_.Remove(self);
      UpdateQueued();
      return false;
    }
    contender_ = false;
    if (TakeOrSetQueued()) return true;
    self.overtaken = true;
    self.parker.Rearm();
    waiters_.PushFront(self);
  }
}

template <class Atomics>
void MutexCore<Atomics>::UnlockContended(Io& io) {
  for (;;) {
    Waiter* next = nullptr;
    {
      const std::lock_guard guard(lock_);
      if (contender_) {
        ReleaseLocked();
        return;
      }
      next = waiters_.PopClaimed();
      UpdateQueued();
      if (next != nullptr) {
        next->granted = next->overtaken;
        contender_ = !next->granted;
        if (contender_) ReleaseLocked();
      }
    }
    if (next != nullptr) return next->parker.Resume(io);
    // All waiters gave up meanwhile. Letting go of the mutex under lock_ would
    // let the next owner destroy it before lock_ is free.
    if (TryReleaseUncontended()) return;
  }
}

template <class Atomics>
size_t MutexCore<Atomics>::waiters() const {
  const std::lock_guard guard(lock_);
  return waiters_.size();
}

template <class Atomics>
void MutexCore<Atomics>::MisusedInUnlock() {
  Misuse(
      "Mutex::Unlock by a task that does not hold the mutex; the task that "
      "locked a mutex unlocks it, once, and MutexLock does so by itself");
}

template <class Atomics>
void MutexCore<Atomics>::MisusedInAssertHeld() {
  Misuse(
      "Mutex::AssertHeld by a task that does not hold the mutex; lock it "
      "before calling what expects it to be held");
}

template <class Atomics>
void MutexCore<Atomics>::MisusedInDestructor() {
  Misuse(
      "a Mutex was destroyed while a task holds it or waits for it; await the "
      "tasks that use a mutex before it is destroyed");
}

template class MutexCore<CompiledAtomics>;

}  // namespace weft::internal
