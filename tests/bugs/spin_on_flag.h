// A task spins, with a lock held, on a flag that another sets under that lock.
// It is well if the other was first. Repaired: Condition, which lets go of the
// lock.
#ifndef WEFT_TESTS_BUGS_SPIN_ON_FLAG_H_
#define WEFT_TESTS_BUGS_SPIN_ON_FLAG_H_

#include "weft/sync/condition.h"
#include "weft/sync/mutex.h"
#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <bool repaired>
void SpinOnFlag(Sim& io) {
  Mutex<Sim> mutex;
  Condition<Sim> changed;
  Shared<bool> flag{false};
  const auto wait = [&] {
    const MutexLock lock(mutex, io);
    if (repaired) {
      (void)changed.Wait(io, mutex, [&] { return flag.load(); });
    }
    while (!flag.load()) io.Yield();
  };
  const auto set = [&] {
    const MutexLock lock(mutex, io);
    flag.store(true);
    changed.NotifyOne(io);
  };
  Together(io, wait, set);
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_SPIN_ON_FLAG_H_
