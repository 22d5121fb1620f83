// Mutex: one task at a time. It may be held across blocking calls.
//
//   weft::Mutex<B> mutex;
//   int balance ABSL_GUARDED_BY(mutex) = 0;
//   ...
//   weft::MutexLock lock(mutex, io);
//   balance += amount;
//
// **Threads.** Tasks of backend B, of any of its instances; the task that
// locked it unlocks it. Whoever locks it last may destroy it as soon as its
// own Unlock has returned.
//
// **Cancelling.** Locking is not a cancellation point: neither a cancel nor a
// deadline of the scope ends it. TryLockFor waits with a limit of its own.
//
// **Order.** First come, first served, except that a running task may take the
// mutex while the first waiter is being woken. That can happen to a waiter
// once; then the mutex is handed to it, so that no task can keep others out
// by locking again and again.
//
// Clang's -Wthread-safety checks code that uses it: ABSL_GUARDED_BY and
// ABSL_EXCLUSIVE_LOCKS_REQUIRED from absl/base/thread_annotations.h.
#ifndef WEFT_SYNC_MUTEX_H_
#define WEFT_SYNC_MUTEX_H_

#include <cstddef>

#include "absl/base/thread_annotations.h"
#include "weft/runtime/clock.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/internal/wall.h"
#include "weft/runtime/io.h"
#include "weft/runtime/source_location.h"
#include "weft/sync/internal/mutex_core.h"

namespace weft {

template <Backend B>
class Condition;
template <Backend B>
class MutexLock;

template <Backend B>
class ABSL_LOCKABLE Mutex {
 public:
  using OwnerBackend = B;

  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;
  // Nobody may hold it or wait for it.
  ~Mutex() = default;

  // Parks until the mutex is free and takes it. The holder may not lock it
  // again. `where`, here and below, is the place of the call, for reports.
  template <IoType Given>
  void Lock(Given& io, SourceLocation where = SourceLocation::Current())
      ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    internal::RequireSameBackend<B, Given>();
    core_.Lock(io, "Mutex::Lock", where);
  }

  // Takes the mutex if it is free. Does not block.
  template <IoType Given>
  [[nodiscard]] bool TryLock(Given& io,
                             SourceLocation where = SourceLocation::Current())
      ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) {
    internal::RequireSameBackend<B, Given>();
    return core_.TryLock(io, where);
  }

  // As Lock, but gives up after `span` and returns false.
  template <IoType Given>
  [[nodiscard]] bool TryLockFor(
      Given& io, Duration span,
      SourceLocation where = SourceLocation::Current())
      ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) {
    internal::RequireSameBackend<B, Given>();
    return core_.TryLockUntil(io, "Mutex::TryLockFor", After(io.Now(), span),
                              where);
  }

  // As Lock, but gives up at `deadline` and returns false.
  template <IoType Given>
  [[nodiscard]] bool TryLockUntil(
      Given& io, MonotonicTime deadline,
      SourceLocation where = SourceLocation::Current())
      ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) {
    internal::RequireSameBackend<B, Given>();
    return core_.TryLockUntil(io, "Mutex::TryLockUntil", deadline, where);
  }

  // Does not block. Only the holder.
  template <IoType Given>
  void Unlock(Given& io) ABSL_UNLOCK_FUNCTION() {
    internal::RequireSameBackend<B, Given>();
    core_.Unlock(io);
  }

  // Ends the program unless the calling task holds the mutex; tells the
  // thread-safety analysis so where it cannot see it, as inside a lambda.
  template <IoType Given>
  void AssertHeld(Given& io) const ABSL_ASSERT_EXCLUSIVE_LOCK() {
    internal::RequireSameBackend<B, Given>();
    core_.AssertHeld(io);
  }

  // How many tasks stand in line. Any thread; may be outdated at once.
  size_t waiters() const { return core_.waiters(); }

 private:
  template <Backend Any>
  friend class Condition;
  friend class MutexLock<B>;

  using Core = internal::MutexCore<internal::AtomicsOf<B>>;

  Core core_;
};

// Holds a mutex from its construction to its destruction.
template <Backend B>
class ABSL_SCOPED_LOCKABLE [[nodiscard]] MutexLock {
 public:
  using OwnerBackend = B;

  // Parks as Mutex::Lock does.
  template <IoType Given>
  MutexLock(Mutex<B>& mutex, Given& io,
            SourceLocation where = SourceLocation::Current())
      ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex)
      : core_(mutex.core_), io_(io) {
    internal::RequireSameBackend<B, Given>();
    core_.Lock(io_, "MutexLock", where);
  }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { core_.Unlock(io_); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  typename Mutex<B>::Core& core_;
  Io& io_;
};

template <Backend B, IoType Given>
MutexLock(Mutex<B>&, Given&) -> MutexLock<B>;

}  // namespace weft

#endif  // WEFT_SYNC_MUTEX_H_
