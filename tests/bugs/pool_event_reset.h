// A pool of one connection: who finds it empty resets the event and waits. A
// connection that comes back between the look and the reset is not noticed any
// more. Repaired: reset first, then look.
#ifndef WEFT_TESTS_BUGS_POOL_EVENT_RESET_H_
#define WEFT_TESTS_BUGS_POOL_EVENT_RESET_H_

#include <cstddef>

#include "weft/sync/event.h"
#include "weft/sync/mutex.h"
#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <bool repaired>
void PoolEventReset(Sim& io) {
  Mutex<Sim> mutex;
  Event<Sim> came_back;
  int free = 1;
  const auto try_take = [&] {
    const MutexLock lock(mutex, io);
    return free > 0 && free-- > 0;
  };
  const auto take = [&] {
    for (;;) {
      if (repaired) came_back.Reset();
      if (try_take()) return;
      if (!repaired) came_back.Reset();
      (void)came_back.Wait(io);
    }
  };
  const auto give_back = [&] {
    {
      const MutexLock lock(mutex, io);
      ++free;
    }
    came_back.Set(io);
  };
  Each(io, 3, [&](size_t) {
    take();
    give_back();
  });
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_POOL_EVENT_RESET_H_
