// A reader that wants to write lets go of the lock, for it cannot write while
// others read, and locks it again. What it read may not hold any more.
// Repaired: it looks again.
#ifndef WEFT_TESTS_BUGS_STALE_UPGRADE_H_
#define WEFT_TESTS_BUGS_STALE_UPGRADE_H_

#include "weft/sync/shared_mutex.h"
#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <bool repaired>
void StaleUpgrade(Sim& io) {
  SharedMutex<Sim> mutex;
  int routes = 0;
  const auto add_missing = [&] {
    {
      const SharedLock lock(mutex, io);
      if (routes > 0) return;
    }
    const ExclusiveLock lock(mutex, io);
    if (repaired && routes > 0) return;
    ++routes;
  };
  Together(io, add_missing, add_missing);
  Expect(io, routes == 1, "a route was added twice");
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_STALE_UPGRADE_H_
