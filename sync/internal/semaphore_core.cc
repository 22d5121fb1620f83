// Nobody passes a waiter: while state_ counts waiters, the inline paths fail,
// and all changes are made under lock_ for the front of the queue.
//
// What holds whenever lock_ is free: the number of waiters in state_ is the
// length of waiters_, and the first waiter wants more permits than there are.
// A waiter that gives up may uncover one that wants fewer; so it grants, too.
//
// **Lifetime.** A task that got its permits may destroy the semaphore. Those
// that waited are resumed after the last use of it; one that did not wait gets
// permits that were put there by a single write (TryRelease), or under lock_
// while a waiter is inside, which has to take lock_ to get out.
#include "weft/sync/internal/semaphore_core.h"

#include <mutex>

#include "weft/runtime/internal/check.h"
#include "weft/runtime/internal/wait_note.h"
#include "weft/sync/internal/compiled_atomics.h"

namespace weft::internal {

template <class Atomics>
SemaphoreCore<Atomics>::SemaphoreCore(uint32_t initial, uint32_t max)
    : state_(initial), max_(max) {
  if (initial <= max) return;
  Misuse(
      "a Semaphore was made with more permits than its maximum; the first "
      "argument is the number at the start, the second the maximum");
}

template <class Atomics>
SemaphoreCore<Atomics>::~SemaphoreCore() {
  if (waiters() == 0) return;
  Misuse(
      "a Semaphore was destroyed while a task waits for it; await the tasks "
      "that use a semaphore before it is destroyed");
}

template <class Atomics>
bool SemaphoreCore<Atomics>::TakeOrCountWaiter(uint32_t count) {
  uint64_t seen = state_.load(std::memory_order_relaxed);
  for (;;) {
    const bool take = Waiters(seen) == 0 && Permits(seen) >= count;
    const uint64_t next = take ? seen - count : seen + kOneWaiter;
    if (state_.compare_exchange_weak(seen, next, std::memory_order_acquire,
                                     std::memory_order_relaxed)) {
      return take;
    }
  }
}

template <class Atomics>
bool SemaphoreCore<Atomics>::TryAdd(uint32_t count) {
  // Cannot change while it counts waiters: lock_ is held.
  const uint64_t seen = state_.load(std::memory_order_relaxed);
  if (Waiters(seen) == 0) return false;
  RequireRoom(seen, count);
  state_.store(seen + count, std::memory_order_release);
  return true;
}

template <class Atomics>
void SemaphoreCore<Atomics>::UncountWaiter() {
  state_.fetch_sub(kOneWaiter, std::memory_order_relaxed);
}

template <class Atomics>
void SemaphoreCore<Atomics>::GrantTo(WaitList<Waiter>& granted) {
  while (!waiters_.empty() && waiters_.front().count <= permits()) {
    Waiter& first = waiters_.front();
    waiters_.PopFront();
    if (first.parker.Claim()) {
      state_.fetch_sub(kOneWaiter + first.count, std::memory_order_relaxed);
      granted.PushBack(first);
    } else {
      // It is giving up.
      UncountWaiter();
    }
  }
}

template <class Atomics>
absl::Status SemaphoreCore<Atomics>::AcquireContended(Io& io, const Task& task,
                                                      uint32_t count,
                                                      MonotonicTime deadline) {
  if (count > max_) {
    Misuse(
        "Semaphore::Acquire of more permits than the maximum of the "
        "semaphore, which would wait for ever");
  }
  const WaitNote note({.object = this, .what = "semaphore"});
  Waiter self(count);
  {
    const std::lock_guard guard(lock_);
    if (TakeOrCountWaiter(count)) return absl::OkStatus();
    waiters_.PushBack(self);
  }
  const WakeReason reason = self.parker.Park(io, {.deadline = deadline});
  if (reason == WakeReason::kWoken) return absl::OkStatus();
  WaitList<Waiter> granted;
  {
    const std::lock_guard guard(lock_);
    if (waiters_.Remove(self)) UncountWaiter();
    GrantTo(granted);
  }
  granted.ResumeAll(io);
  return WaitStatus(task, reason, "acquire");
}

template <class Atomics>
void SemaphoreCore<Atomics>::ReleaseContended(Io& io, uint32_t count) {
  WaitList<Waiter> granted;
  for (;;) {
    {
      const std::lock_guard guard(lock_);
      if (TryAdd(count)) {
        GrantTo(granted);
        break;
      }
    }
    // All waiters gave up meanwhile.
    if (TryRelease(count)) return;
  }
  granted.ResumeAll(io);
}

template <class Atomics>
void SemaphoreCore<Atomics>::MisusedInRelease() {
  Misuse(
      "Semaphore::Release beyond the maximum of the semaphore; release as many "
      "permits as were acquired, once");
}

template class SemaphoreCore<CompiledAtomics>;

}  // namespace weft::internal
