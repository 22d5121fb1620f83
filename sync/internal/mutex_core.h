// The part of Mutex that does not depend on the backend.
#ifndef WEFT_SYNC_INTERNAL_MUTEX_CORE_H_
#define WEFT_SYNC_INTERNAL_MUTEX_CORE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/internal/check.h"
#include "weft/runtime/io.h"
#include "weft/runtime/source_location.h"
#include "weft/sync/internal/require_task.h"
#include "weft/sync/internal/wait_list.h"

namespace weft::internal {

template <class Atomics>
class MutexCore {
 public:
  MutexCore() = default;
  MutexCore(const MutexCore&) = delete;
  MutexCore& operator=(const MutexCore&) = delete;
  ~MutexCore() {
    if (word_.load(std::memory_order_relaxed) != 0 || contender_) {
      MisusedInDestructor();
    }
  }

  void Lock(Io& io, const char* call, SourceLocation where = {}) {
    const Task& task = RequireTask(io, call);
    if (!TryTakeUncontended()) LockContended(io, task, kNever);
    SetOwner(task, where);
  }

  bool TryLock(Io& io, SourceLocation where = {}) {
    const Task& task = RequireTask(io, "Mutex::TryLock");
    if (!TryTake()) return false;
    SetOwner(task, where);
    return true;
  }

  bool TryLockUntil(Io& io, const char* call, MonotonicTime deadline,
                    SourceLocation where = {}) {
    const Task& task = RequireTask(io, call);
    if (!TryTake() && !LockContended(io, task, deadline)) return false;
    SetOwner(task, where);
    return true;
  }

  void Unlock(Io& io) {
    if (!HeldBy(RequireTask(io, "Mutex::Unlock"))) MisusedInUnlock();
    Atomics::Releasing(this);
    owner_.store(nullptr, std::memory_order_relaxed);
    if (!TryReleaseUncontended()) UnlockContended(io);
  }

  void AssertHeld(Io& io) const {
    if (!HeldBy(RequireTask(io, "Mutex::AssertHeld"))) MisusedInAssertHeld();
  }

  // Exact for the calling task: nobody else writes or clears its name.
  bool HeldBy(const Task& task) const {
    return owner_.load(std::memory_order_relaxed) == &task;
  }

  size_t waiters() const;

 private:
  // The bits of word_. kQueued is set exactly while waiters_ is not empty,
  // and changes only under lock_.
  enum : uint32_t { kLocked = 1, kQueued = 2 };

  struct Waiter : WaitNode<Atomics> {
    Waiter() : WaitNode<Atomics>(own_parker) {}

    Parker<Atomics> own_parker;
    bool overtaken = false;  // was woken, but another task had taken the lock
    bool granted = false;    // owns the lock
  };

  void SetOwner(const Task& task, SourceLocation where) {
    owner_.store(&task, std::memory_order_relaxed);
    Atomics::Acquired({.object = this, .what = "mutex", .where = where});
  }

  // Acquire pairs with the release of the unlock that it follows.
  bool TryTakeUncontended() {
    uint32_t expected = 0;
    return word_.compare_exchange_strong(expected, kLocked,
                                         std::memory_order_acquire,
                                         std::memory_order_relaxed);
  }
  bool TryReleaseUncontended() {
    uint32_t expected = kLocked;
    return word_.compare_exchange_strong(expected, 0, std::memory_order_release,
                                         std::memory_order_relaxed);
  }
  // As TryTakeUncontended, also past waiters.
  bool TryTake();
  // Takes the lock, or sets kQueued while it is locked. Under lock_.
  bool TakeOrSetQueued();
  // Lets go of the lock and leaves kQueued alone. Under lock_.
  void ReleaseLocked();
  // Makes kQueued right after waiters_ may have become empty. Under lock_.
  void UpdateQueued();

  // False if the deadline passed first.
  bool LockContended(Io& io, const Task& task, MonotonicTime deadline);
  void UnlockContended(Io& io);

  [[noreturn]] static void MisusedInUnlock();
  [[noreturn]] static void MisusedInAssertHeld();
  [[noreturn]] static void MisusedInDestructor();

  typename Atomics::template Atomic<uint32_t> word_{0};
  bool contender_ = false;  // a woken waiter is about to try; guarded by lock_
  // Not explored: a task finds its own name here exactly if it has written it,
  // whatever others do meanwhile.
  std::atomic<const Task*> owner_{nullptr};
  mutable typename Atomics::Lock lock_;
  WaitList<Waiter> waiters_;  // guarded by lock_
};

extern template class MutexCore<NativeAtomics>;
extern template class MutexCore<ExploredAtomics>;

}  // namespace weft::internal

#endif  // WEFT_SYNC_INTERNAL_MUTEX_CORE_H_
