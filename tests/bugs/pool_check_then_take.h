// A pool in which a worker looks for a free connection in one critical section
// and takes it in another.
#ifndef WEFT_TESTS_BUGS_POOL_CHECK_THEN_TAKE_H_
#define WEFT_TESTS_BUGS_POOL_CHECK_THEN_TAKE_H_

#include <cstddef>

#include "weft/sync/mutex.h"
#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <bool repaired>
void PoolCheckThenTake(Sim& io) {
  Mutex<Sim> mutex;
  int free = 2;
  const auto look = [&] {
    const MutexLock lock(mutex, io);
    return free > 0;
  };
  Each(io, 3, [&](size_t) {
    if (!repaired && !look()) return;
    const MutexLock lock(mutex, io);
    if (repaired && free == 0) return;
    --free;
    Expect(io, free >= 0, "a connection was handed out twice");
  });
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_POOL_CHECK_THEN_TAKE_H_
