// A buffer with one condition for "there is room" and "there is something",
// and NotifyOne. A reader that takes the last item may wake the other reader
// instead of the writer; then all wait.
#ifndef WEFT_TESTS_BUGS_BOUNDED_BUFFER_H_
#define WEFT_TESTS_BUGS_BOUNDED_BUFFER_H_

#include "weft/sync/condition.h"
#include "weft/sync/mutex.h"
#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <bool repaired>
void BoundedBuffer(Sim& io) {
  Mutex<Sim> mutex;
  Condition<Sim> changed;
  int items = 0;
  const auto change = [&](int by) {
    const MutexLock lock(mutex, io);
    (void)changed.Wait(io, mutex,
                       [&] { return by > 0 ? items == 0 : items == 1; });
    items += by;
    repaired ? changed.NotifyAll(io) : changed.NotifyOne(io);
  };
  const auto write = [&] {
    for (int i = 0; i < 4; ++i) change(1);
  };
  const auto read = [&] {
    for (int i = 0; i < 2; ++i) change(-1);
  };
  Together(io, write, read, read);
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_BOUNDED_BUFFER_H_
