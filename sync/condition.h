// Condition: waits until another task has changed what a mutex guards.
//
//   weft::MutexLock lock(mutex, io);
//   absl::Status status =
//       not_empty.Wait(io, mutex, [&] { return !queue.empty(); });
//   if (!status.ok()) return status;
//   ...
//   weft::MutexLock lock(mutex, io);
//   queue.push_back(item);
//   not_empty.NotifyOne(io);
//
// **Threads.** Wait: tasks of backend B. Notify: any thread, with or without
// the mutex, once the change that it tells of was made under the mutex; else a
// task that is about to wait may miss both. It may be destroyed once nobody
// waits; a task that was notified waits no longer.
//
// **Cancelling.** Wait is a cancellation point; in a cancelled scope it returns
// at once. Relocking the mutex is none, so the mutex is held again whatever
// Wait returns. A waiter that a notify reached returns OK even if it was
// cancelled at the same moment; a notify that did not reach it goes to the
// next waiter.
//
// **Order.** First come, first served. A waiter returns OK only when it was
// notified, but another task may have taken the mutex before it and undone
// what it waited for: wait with a predicate.
#ifndef WEFT_SYNC_CONDITION_H_
#define WEFT_SYNC_CONDITION_H_

#include <cstddef>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "weft/runtime/clock.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/internal/wall.h"
#include "weft/runtime/io.h"
#include "weft/sync/internal/condition_core.h"
#include "weft/sync/mutex.h"

namespace weft {

template <Backend B>
class Condition {
 public:
  using OwnerBackend = B;

  Condition() = default;
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;
  // Nobody may wait for it.
  ~Condition() = default;

  // Unlocks the mutex, which the task must hold, parks until notified, and
  // locks it again. OK, or CANCELLED or DEADLINE_EXCEEDED from the scope.
  template <IoType Given, Backend MutexOwner>
  absl::Status Wait(Given& io, Mutex<MutexOwner>& mutex)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    return WaitUntil(io, mutex, kNever);
  }

  // Waits until `predicate()`, which is called with the mutex held, is true.
  // OK means that it was when last called.
  template <IoType Given, Backend MutexOwner, class Predicate>
  absl::Status Wait(Given& io, Mutex<MutexOwner>& mutex, Predicate predicate)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    return WaitUntil(io, mutex, kNever, std::move(predicate));
  }

  // As Wait, and DEADLINE_EXCEEDED after `span`.
  template <IoType Given, Backend MutexOwner>
  absl::Status WaitFor(Given& io, Mutex<MutexOwner>& mutex, Duration span)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    return WaitUntil(io, mutex, After(io.Now(), span));
  }
  template <IoType Given, Backend MutexOwner, class Predicate>
  absl::Status WaitFor(Given& io, Mutex<MutexOwner>& mutex, Duration span,
                       Predicate predicate)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    return WaitUntil(io, mutex, After(io.Now(), span), std::move(predicate));
  }

  // Wakes the task that has waited longest, if any. Does not block, and costs
  // one load when nobody waits.
  template <IoType Given>
  void NotifyOne(Given& io) {
    internal::RequireSameBackend<B, Given>();
    core_.NotifyOne(io);
  }

  // Wakes all tasks that wait now. Does not block.
  template <IoType Given>
  void NotifyAll(Given& io) {
    internal::RequireSameBackend<B, Given>();
    core_.NotifyAll(io);
  }

  // How many tasks wait. Any thread; may be outdated at once.
  size_t waiters() const { return core_.waiters(); }

 private:
  template <IoType Given, Backend MutexOwner>
  absl::Status WaitUntil(Given& io, Mutex<MutexOwner>& mutex,
                         MonotonicTime deadline) {
    internal::RequireSameBackend<B, Given>();
    internal::RequireSameBackend<MutexOwner, Given>();
    return core_.Wait(io, mutex.core_, deadline);
  }

  template <IoType Given, Backend MutexOwner, class Predicate>
  absl::Status WaitUntil(Given& io, Mutex<MutexOwner>& mutex,
                         MonotonicTime deadline, Predicate predicate) {
    internal::RequireSameBackend<B, Given>();
    internal::RequireSameBackend<MutexOwner, Given>();
    absl::Status status = core_.BeginWait(io, mutex.core_);
    while (status.ok() && !predicate()) {
      status = core_.Wait(io, mutex.core_, deadline);
      if (!status.ok() && predicate()) return absl::OkStatus();
    }
    return status;
  }

  internal::ConditionCore<internal::AtomicsOf<B>> core_;
};

}  // namespace weft

#endif  // WEFT_SYNC_CONDITION_H_
