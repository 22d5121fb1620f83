#include "weft/sync/internal/shared_mutex_core.h"

#include <optional>

#include "weft/runtime/internal/check.h"
#include "weft/runtime/internal/wait_note.h"
#include "weft/runtime/scope.h"
#include "weft/sync/internal/compiled_atomics.h"

namespace weft::internal {

template <class Atomics>
bool SharedMutexCore<Atomics>::TakeContended(Io& io, uint32_t count,
                                             MonotonicTime deadline,
                                             Wait wait) {
  const bool through = wait == Wait::kThrough;
  const WaitNote note(
      {.object = this,
       .what = count == kAll ? "shared mutex" : "a share of shared mutex",
       .by = !through        ? Awaited::By::kAnybody
             : count == kAll ? Awaited::By::kHolders
                             : Awaited::By::kWriters});
  std::optional<Shield> shield;
  if (through) shield.emplace(io);
  return permits_.Acquire(io, count, deadline).ok();
}

template <class Atomics>
void SharedMutexCore<Atomics>::MisusedInLock() {
  Misuse(
      "SharedMutex::Lock or LockShared by the task that holds the mutex "
      "exclusively already, which would wait for itself for ever; split the "
      "function into one that locks and one that expects the mutex to be held");
}

template <class Atomics>
void SharedMutexCore<Atomics>::MisusedInUnlock() {
  Misuse(
      "SharedMutex::Unlock by a task that does not hold the mutex exclusively; "
      "the task that locked a mutex unlocks it, once, and what was locked with "
      "LockShared is unlocked with UnlockShared");
}

template <class Atomics>
void SharedMutexCore<Atomics>::MisusedInUnlockShared() {
  Misuse(
      "SharedMutex::UnlockShared of a mutex that nobody holds shared; unlock "
      "once for each LockShared, and what was locked with Lock is unlocked "
      "with Unlock");
}

template <class Atomics>
void SharedMutexCore<Atomics>::MisusedInAssertHeld() {
  Misuse(
      "SharedMutex::AssertHeld by a task that does not hold the mutex "
      "exclusively; lock it before calling what expects it to be held");
}

template <class Atomics>
void SharedMutexCore<Atomics>::MisusedInDestructor() {
  Misuse(
      "a SharedMutex was destroyed while a task holds it or waits for it; "
      "await the tasks that use a mutex before it is destroyed");
}

template class SharedMutexCore<CompiledAtomics>;

}  // namespace weft::internal
