// SharedMutex: one task that writes, or any number that read.
//
//   weft::SharedMutex<B> mutex;
//   Routes routes ABSL_GUARDED_BY(mutex);
//   ...
//   weft::SharedLock lock(mutex, io);
//   return routes.Find(name);
//   ...
//   weft::ExclusiveLock lock(mutex, io);
//   routes.Add(name, address);
//
// **Threads.** Tasks of backend B, of any of its instances; the task that
// locked it unlocks it. Whoever unlocks it last may destroy it as soon as its
// own call has returned.
//
// **Cancelling.** Locking is not a cancellation point: neither a cancel nor a
// deadline of the scope ends it. The ...For forms wait with a limit of their
// own; the ...UnlessCancelled forms are cancellation points.
//
// **Order.** First come, first served; readers that stand next to each other
// in line go in together. Nobody passes a waiter, so writers do not starve
// readers nor readers writers. A task that reads may therefore not lock it
// again: it would stand in line behind a writer that waits for it.
//
// Clang's -Wthread-safety checks code that uses it: ABSL_GUARDED_BY,
// ABSL_EXCLUSIVE_LOCKS_REQUIRED and ABSL_SHARED_LOCKS_REQUIRED from
// absl/base/thread_annotations.h.
#ifndef WEFT_SYNC_SHARED_MUTEX_H_
#define WEFT_SYNC_SHARED_MUTEX_H_

#include <cstddef>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "weft/runtime/clock.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/internal/wall.h"
#include "weft/runtime/io.h"
#include "weft/runtime/source_location.h"
#include "weft/sync/internal/shared_mutex_core.h"

namespace weft {

template <Backend B>
class SharedLock;
template <Backend B>
class ExclusiveLock;

template <Backend B>
class ABSL_LOCKABLE SharedMutex {
 public:
  using OwnerBackend = B;

  SharedMutex() = default;
  SharedMutex(const SharedMutex&) = delete;
  SharedMutex& operator=(const SharedMutex&) = delete;
  // Nobody may hold it or wait for it.
  ~SharedMutex() = default;

  // Parks until nobody holds the mutex and takes it for this task alone.
  // `where`, here and below, is the place of the call, for reports.
  template <IoType Given>
  void Lock(Given& io, SourceLocation where = SourceLocation::Current())
      ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    internal::RequireSameBackend<B, Given>();
    core_.Lock(io, "SharedMutex::Lock", kNever, Core::Wait::kThrough, where);
  }

  // Parks until no writer holds the mutex or stands in line before this task,
  // and takes it together with other readers.
  template <IoType Given>
  void LockShared(Given& io, SourceLocation where = SourceLocation::Current())
      ABSL_SHARED_LOCK_FUNCTION() {
    internal::RequireSameBackend<B, Given>();
    core_.LockShared(io, "SharedMutex::LockShared", kNever,
                     Core::Wait::kThrough, where);
  }

  // Take the mutex if that needs no wait. Do not block.
  template <IoType Given>
  [[nodiscard]] bool TryLock(Given& io,
                             SourceLocation where = SourceLocation::Current())
      ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) {
    internal::RequireSameBackend<B, Given>();
    return core_.TryLock(io, where);
  }
  template <IoType Given>
  [[nodiscard]] bool TryLockShared(
      Given& io, SourceLocation where = SourceLocation::Current())
      ABSL_SHARED_TRYLOCK_FUNCTION(true) {
    internal::RequireSameBackend<B, Given>();
    return core_.TryLockShared(io, where);
  }

  // As Lock and LockShared, but give up after `span` and return false.
  template <IoType Given>
  [[nodiscard]] bool TryLockFor(
      Given& io, Duration span,
      SourceLocation where = SourceLocation::Current())
      ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) {
    internal::RequireSameBackend<B, Given>();
    return core_.Lock(io, "SharedMutex::TryLockFor", After(io.Now(), span),
                      Core::Wait::kThrough, where);
  }
  template <IoType Given>
  [[nodiscard]] bool TryLockSharedFor(
      Given& io, Duration span,
      SourceLocation where = SourceLocation::Current())
      ABSL_SHARED_TRYLOCK_FUNCTION(true) {
    internal::RequireSameBackend<B, Given>();
    return core_.LockShared(io, "SharedMutex::TryLockSharedFor",
                            After(io.Now(), span), Core::Wait::kThrough, where);
  }

  // As Lock and LockShared, but return false when the scope is cancelled or
  // its deadline passes, and at once if that has happened: CheckCancelled
  // says which. (A bool, for the thread-safety analysis understands no Status.)
  template <IoType Given>
  [[nodiscard]] bool LockUnlessCancelled(
      Given& io, SourceLocation where = SourceLocation::Current())
      ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) {
    internal::RequireSameBackend<B, Given>();
    return core_.Lock(io, "SharedMutex::LockUnlessCancelled", kNever,
                      Core::Wait::kInScope, where);
  }
  template <IoType Given>
  [[nodiscard]] bool LockSharedUnlessCancelled(
      Given& io, SourceLocation where = SourceLocation::Current())
      ABSL_SHARED_TRYLOCK_FUNCTION(true) {
    internal::RequireSameBackend<B, Given>();
    return core_.LockShared(io, "SharedMutex::LockSharedUnlessCancelled",
                            kNever, Core::Wait::kInScope, where);
  }

  // Do not block. Only a holder.
  template <IoType Given>
  void Unlock(Given& io) ABSL_UNLOCK_FUNCTION() {
    internal::RequireSameBackend<B, Given>();
    core_.Unlock(io);
  }
  template <IoType Given>
  void UnlockShared(Given& io) ABSL_UNLOCK_FUNCTION() {
    internal::RequireSameBackend<B, Given>();
    core_.UnlockShared(io);
  }

  // Ends the program unless the calling task holds the mutex exclusively;
  // tells the thread-safety analysis so where it cannot see it.
  template <IoType Given>
  void AssertHeld(Given& io) const ABSL_ASSERT_EXCLUSIVE_LOCK() {
    internal::RequireSameBackend<B, Given>();
    core_.AssertHeld(io);
  }

  // How many tasks hold it shared, and how many of both kinds stand in line.
  // Any thread; may be outdated at once.
  uint32_t readers() const { return core_.readers(); }
  size_t waiters() const { return core_.waiters(); }

 private:
  using Core = internal::SharedMutexCore<internal::AtomicsOf<B>>;
  friend class SharedLock<B>;
  friend class ExclusiveLock<B>;

  Core core_;
};

// Holds a mutex shared from its construction to its destruction.
template <Backend B>
class ABSL_SCOPED_LOCKABLE [[nodiscard]] SharedLock {
 public:
  using OwnerBackend = B;

  // Parks as SharedMutex::LockShared does.
  template <IoType Given>
  SharedLock(SharedMutex<B>& mutex, Given& io,
             SourceLocation where = SourceLocation::Current())
      ABSL_SHARED_LOCK_FUNCTION(mutex)
      : core_(mutex.core_), io_(io) {
    internal::RequireSameBackend<B, Given>();
    core_.LockShared(io_, "SharedLock", kNever,
                     SharedMutex<B>::Core::Wait::kThrough, where);
  }
  ~SharedLock() ABSL_UNLOCK_FUNCTION() { core_.UnlockShared(io_); }
  SharedLock(const SharedLock&) = delete;
  SharedLock& operator=(const SharedLock&) = delete;

 private:
  typename SharedMutex<B>::Core& core_;
  Io& io_;
};

template <Backend B, IoType Given>
SharedLock(SharedMutex<B>&, Given&) -> SharedLock<B>;

// Holds a mutex exclusively from its construction to its destruction.
template <Backend B>
class ABSL_SCOPED_LOCKABLE [[nodiscard]] ExclusiveLock {
 public:
  using OwnerBackend = B;

  // Parks as SharedMutex::Lock does.
  template <IoType Given>
  ExclusiveLock(SharedMutex<B>& mutex, Given& io,
                SourceLocation where = SourceLocation::Current())
      ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex)
      : core_(mutex.core_), io_(io) {
    internal::RequireSameBackend<B, Given>();
    core_.Lock(io_, "ExclusiveLock", kNever,
               SharedMutex<B>::Core::Wait::kThrough, where);
  }
  ~ExclusiveLock() ABSL_UNLOCK_FUNCTION() { core_.Unlock(io_); }
  ExclusiveLock(const ExclusiveLock&) = delete;
  ExclusiveLock& operator=(const ExclusiveLock&) = delete;

 private:
  typename SharedMutex<B>::Core& core_;
  Io& io_;
};

template <Backend B, IoType Given>
ExclusiveLock(SharedMutex<B>&, Given&) -> ExclusiveLock<B>;

}  // namespace weft

#endif  // WEFT_SYNC_SHARED_MUTEX_H_
