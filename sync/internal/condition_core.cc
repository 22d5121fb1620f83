// A notify claims its waiters under lock_, so it wakes exactly tasks that were
// waiting, in order of arrival, and a waiter that was claimed returns OK even
// if a cancel or a deadline came at the same moment. A waiter that gave up
// before is passed over, so no notify is swallowed.
#include "weft/sync/internal/condition_core.h"

#include <mutex>

#include "weft/runtime/internal/check.h"
#include "weft/runtime/internal/wait_note.h"
#include "weft/sync/internal/compiled_atomics.h"
#include "weft/sync/internal/require_task.h"
#include "weft/sync/internal/wait_status.h"

namespace weft::internal {

template <class Atomics>
ConditionCore<Atomics>::~ConditionCore() {
  if (waiters_.empty()) return;
  Misuse(
      "a Condition was destroyed while a task waits for it; notify and await "
      "the tasks that use a condition before it is destroyed");
}

template <class Atomics>
absl::Status ConditionCore<Atomics>::BeginWait(
    Io& io, const MutexCore<Atomics>& mutex) {
  const Task& task = RequireTask(io, "Condition::Wait");
  if (!mutex.HeldBy(task)) {
    Misuse(
        "Condition::Wait by a task that does not hold the mutex; lock the "
        "mutex, look whether it is necessary to wait, then call Wait");
  }
  return CheckScopes(task, "wait");
}

template <class Atomics>
absl::Status ConditionCore<Atomics>::Wait(Io& io, MutexCore<Atomics>& mutex,
                                          MonotonicTime deadline) {
  absl::Status status = BeginWait(io, mutex);
  if (!status.ok()) return status;
  const Task& task = RequireTask(io, "Condition::Wait");
  Waiter self(task);
  {
    const std::lock_guard guard(lock_);
    waiters_.PushBack(self);
    UpdateHasWaiters();
  }
  mutex.Unlock(io);
  const WakeReason reason = [&] {
    const WaitNote note({.object = this, .what = "condition"});
    return self.parker.Park(io, {.deadline = deadline});
  }();
  if (reason != WakeReason::kWoken) {
    const std::lock_guard guard(lock_);
    waiters_.Remove(self);
    UpdateHasWaiters();
  }
  status = WaitStatus(task, reason, "wait");
  mutex.Lock(io, "Condition::Wait");
  return status;
}

template <class Atomics>
size_t ConditionCore<Atomics>::waiters() const {
  const std::lock_guard guard(lock_);
  return waiters_.size();
}

template <class Atomics>
void ConditionCore<Atomics>::NotifyWaiter(Io& io) {
  Waiter* waiter = nullptr;
  {
    const std::lock_guard guard(lock_);
    waiter = waiters_.PopClaimed();
    UpdateHasWaiters();
  }
  Atomics::Notified(this, waiter == nullptr ? nullptr : waiter->note.task());
  if (waiter != nullptr) waiter->parker.Resume(io);
}

template <class Atomics>
void ConditionCore<Atomics>::NotifyWaiters(Io& io) {
  WaitList<Waiter> claimed;
  {
    const std::lock_guard guard(lock_);
    while (Waiter* waiter = waiters_.PopClaimed()) claimed.PushBack(*waiter);
    UpdateHasWaiters();
  }
  claimed.ResumeAll(io);
}

template class ConditionCore<CompiledAtomics>;

}  // namespace weft::internal
