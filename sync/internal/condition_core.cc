// A notify claims its waiters under lock_, so it wakes exactly tasks that were
// waiting, in order of arrival, and a waiter that was claimed returns OK even
// if a cancel or a deadline came at the same moment. A waiter that gave up
// before is passed over, so no notify is swallowed.
#include "weft/sync/internal/condition_core.h"

#include <mutex>

#include "weft/runtime/internal/check.h"
#include "weft/sync/internal/require_task.h"

namespace weft::internal {

ConditionCore::~ConditionCore() {
  if (waiters_.empty()) return;
  Misuse(
      "a Condition was destroyed while a task waits for it; notify and await "
      "the tasks that use a condition before it is destroyed");
}

absl::Status ConditionCore::BeginWait(Io& io, const MutexCore& mutex) {
  const Task& task = RequireTask(io, "Condition::Wait");
  if (!mutex.HeldBy(task)) {
    Misuse(
        "Condition::Wait by a task that does not hold the mutex; lock the "
        "mutex, look whether it is necessary to wait, then call Wait");
  }
  return CheckScopes(task, "wait");
}

absl::Status ConditionCore::Wait(Io& io, MutexCore& mutex,
                                 MonotonicTime deadline) {
  absl::Status status = BeginWait(io, mutex);
  if (!status.ok()) return status;
  Waiter self;
  {
    const std::lock_guard guard(lock_);
    waiters_.PushBack(self);
    UpdateHasWaiters();
  }
  mutex.Unlock(io);
  const WakeReason reason = self.parker.Park(io, {.deadline = deadline});
  if (reason != WakeReason::kWoken) {
    const std::lock_guard guard(lock_);
    waiters_.Remove(self);
    UpdateHasWaiters();
  }
  status = WaitStatus(RequireTask(io, "Condition::Wait"), reason, "wait");
  mutex.Lock(io, "Condition::Wait");
  return status;
}

size_t ConditionCore::waiters() const {
  const std::lock_guard guard(lock_);
  return waiters_.size();
}

void ConditionCore::NotifyWaiter(Io& io) {
  Waiter* waiter = nullptr;
  {
    const std::lock_guard guard(lock_);
    waiter = waiters_.PopClaimed();
    UpdateHasWaiters();
  }
  if (waiter != nullptr) waiter->parker.Resume(io);
}

void ConditionCore::NotifyWaiters(Io& io) {
  WaitList<Waiter> claimed;
  {
    const std::lock_guard guard(lock_);
    while (Waiter* waiter = waiters_.PopClaimed()) claimed.PushBack(*waiter);
    UpdateHasWaiters();
  }
  claimed.ResumeAll(io);
}

}  // namespace weft::internal
