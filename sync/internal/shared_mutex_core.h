// The part of SharedMutex that does not depend on the backend.
#ifndef WEFT_SYNC_INTERNAL_SHARED_MUTEX_CORE_H_
#define WEFT_SYNC_INTERNAL_SHARED_MUTEX_CORE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "weft/runtime/clock.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/io.h"
#include "weft/runtime/source_location.h"
#include "weft/sync/internal/require_task.h"
#include "weft/sync/internal/semaphore_core.h"

namespace weft::internal {

// A semaphore of which a reader takes one permit and a writer all: its order,
// first come, first served, lets nobody starve.
template <class Atomics>
class SharedMutexCore {
 public:
  // Whether a wait for the lock ends when the scope gives up.
  enum class Wait { kThrough, kInScope };

  SharedMutexCore() = default;
  SharedMutexCore(const SharedMutexCore&) = delete;
  SharedMutexCore& operator=(const SharedMutexCore&) = delete;
  ~SharedMutexCore() {
    if (permits_.permits() != kAll || permits_.waiters() != 0) {
      MisusedInDestructor();
    }
  }

  // These two wait; false if the deadline passed or, with kInScope, if the
  // scope gave up.
  bool Lock(Io& io, const char* call, MonotonicTime deadline, Wait wait,
            SourceLocation where = {}) {
    const Task& task = RequireTask(io, call);
    if (HeldBy(task)) MisusedInLock();
    if (!Take(io, kAll, deadline, wait)) return false;
    SetOwner(task, where);
    return true;
  }
  bool LockShared(Io& io, const char* call, MonotonicTime deadline, Wait wait,
                  SourceLocation where = {}) {
    if (HeldBy(RequireTask(io, call))) MisusedInLock();
    if (!Take(io, 1, deadline, wait)) return false;
    NoteReader(where);
    return true;
  }

  bool TryLock(Io& io, SourceLocation where = {}) {
    const Task& task = RequireTask(io, "SharedMutex::TryLock");
    if (!permits_.TryAcquire(kAll)) return false;
    SetOwner(task, where);
    return true;
  }
  bool TryLockShared(Io& io, SourceLocation where = {}) {
    RequireTask(io, "SharedMutex::TryLockShared");
    if (!permits_.TryAcquire(1)) return false;
    NoteReader(where);
    return true;
  }

  void Unlock(Io& io) {
    if (!HeldBy(RequireTask(io, "SharedMutex::Unlock"))) MisusedInUnlock();
    Atomics::Releasing(this);
    owner_.store(nullptr, std::memory_order_relaxed);
    permits_.Release(io, kAll);
  }
  void UnlockShared(Io& io) {
    RequireTask(io, "SharedMutex::UnlockShared");
    if (readers() == 0) MisusedInUnlockShared();
    Atomics::Releasing(this);
    permits_.Release(io, 1);
  }

  void AssertHeld(Io& io) const {
    if (!HeldBy(RequireTask(io, "SharedMutex::AssertHeld"))) {
      MisusedInAssertHeld();
    }
  }

  // Exact for a task that holds the lock; else it may be outdated at once.
  uint32_t readers() const {
    // A writer has taken all.
    const uint32_t permits = permits_.permits();
    return permits == 0 ? 0 : kAll - permits;
  }
  size_t waiters() const { return permits_.waiters(); }

 private:
  static constexpr uint32_t kAll = UINT32_MAX;
  static constexpr char kWhat[] = "shared mutex";

  // Exact for the calling task: nobody else writes or clears its name.
  bool HeldBy(const Task& task) const {
    return owner_.load(std::memory_order_relaxed) == &task;
  }

  void SetOwner(const Task& task, SourceLocation where) {
    owner_.store(&task, std::memory_order_relaxed);
    Atomics::Acquired({.object = this, .what = kWhat, .where = where});
  }
  void NoteReader(SourceLocation where) {
    Atomics::Acquired({.object = this,
                       .what = kWhat,
                       .mode = Held::Mode::kShared,
                       .where = where});
  }

  bool Take(Io& io, uint32_t count, MonotonicTime deadline, Wait wait) {
    if (wait == Wait::kThrough && permits_.TryAcquire(count)) return true;
    return TakeContended(io, count, deadline, wait);
  }
  bool TakeContended(Io& io, uint32_t count, MonotonicTime deadline, Wait wait);

  [[noreturn]] static void MisusedInLock();
  [[noreturn]] static void MisusedInUnlock();
  [[noreturn]] static void MisusedInUnlockShared();
  [[noreturn]] static void MisusedInAssertHeld();
  [[noreturn]] static void MisusedInDestructor();

  SemaphoreCore<Atomics> permits_{kAll, kAll};
  // The writer. Not explored: a task finds its own name here exactly if it has
  // written it, whatever others do meanwhile.
  std::atomic<const Task*> owner_{nullptr};
};

extern template class SharedMutexCore<NativeAtomics>;
extern template class SharedMutexCore<ExploredAtomics>;

}  // namespace weft::internal

#endif  // WEFT_SYNC_INTERNAL_SHARED_MUTEX_CORE_H_
