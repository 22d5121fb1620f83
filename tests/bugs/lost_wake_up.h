// A waiter looks whether it has to wait before it takes the lock. What it
// waits for may come in between, and its notify wakes nobody.
#ifndef WEFT_TESTS_BUGS_LOST_WAKE_UP_H_
#define WEFT_TESTS_BUGS_LOST_WAKE_UP_H_

#include "weft/sync/condition.h"
#include "weft/sync/mutex.h"
#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <bool repaired>
void LostWakeUp(Sim& io) {
  Mutex<Sim> mutex;
  Condition<Sim> changed;
  Shared<bool> ready{false};
  const auto wait = [&] {
    if (!repaired && ready.load()) return;
    const MutexLock lock(mutex, io);
    if (repaired && ready.load()) return;
    (void)changed.Wait(io, mutex);
  };
  const auto prepare = [&] {
    const MutexLock lock(mutex, io);
    ready.store(true);
    changed.NotifyOne(io);
  };
  Together(io, wait, prepare);
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_LOST_WAKE_UP_H_
