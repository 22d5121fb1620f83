// The part of Condition that does not depend on the backend.
#ifndef WEFT_SYNC_INTERNAL_CONDITION_CORE_H_
#define WEFT_SYNC_INTERNAL_CONDITION_CORE_H_

#include <atomic>
#include <cstddef>

#include "absl/status/status.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/io.h"
#include "weft/sync/internal/mutex_core.h"
#include "weft/sync/internal/wait_list.h"

namespace weft::internal {

template <class Atomics>
class ConditionCore {
 public:
  ConditionCore() = default;
  ConditionCore(const ConditionCore&) = delete;
  ConditionCore& operator=(const ConditionCore&) = delete;
  ~ConditionCore();

  // What Wait begins with: ends the program unless the task holds the mutex;
  // CANCELLED or DEADLINE_EXCEEDED if it must not wait.
  static absl::Status BeginWait(Io& io, const MutexCore<Atomics>& mutex);
  absl::Status Wait(Io& io, MutexCore<Atomics>& mutex, MonotonicTime deadline);

  void NotifyOne(Io& io) {
    if (HasWaiters()) {
      NotifyWaiter(io);
    } else {
      Atomics::Notified(this, nullptr);
    }
  }
  void NotifyAll(Io& io) {
    if (HasWaiters()) NotifyWaiters(io);
  }

  size_t waiters() const;

 private:
  struct Waiter : WaitNode<Atomics> {
    explicit Waiter(const Task& task)
        : WaitNode<Atomics>(own_parker), note(task) {}

    Parker<Atomics> own_parker;
    [[no_unique_address]] const typename Atomics::TaskNote note;
  };

  // A waiter enters before it unlocks the user's mutex, and a notifier has
  // held that mutex since: the mutex orders this load after that store.
  bool HasWaiters() const {
    return has_waiters_.load(std::memory_order_relaxed);
  }
  // Under lock_.
  void UpdateHasWaiters() {
    has_waiters_.store(!waiters_.empty(), std::memory_order_relaxed);
  }

  void NotifyWaiter(Io& io);
  void NotifyWaiters(Io& io);

  typename Atomics::template Atomic<bool> has_waiters_{
      false};  // changes under lock_
  mutable typename Atomics::Lock lock_;
  WaitList<Waiter> waiters_;  // guarded by lock_
};

extern template class ConditionCore<NativeAtomics>;
extern template class ConditionCore<ExploredAtomics>;

}  // namespace weft::internal

#endif  // WEFT_SYNC_INTERNAL_CONDITION_CORE_H_
