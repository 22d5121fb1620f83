// A consumer that was notified finds itself cancelled and leaves. The item that
// it was notified of stays, and the other consumer is not told. Repaired: who
// leaves passes the notify on.
#ifndef WEFT_TESTS_BUGS_SWALLOWED_NOTIFY_H_
#define WEFT_TESTS_BUGS_SWALLOWED_NOTIFY_H_

#include "weft/runtime/scope.h"
#include "weft/sync/condition.h"
#include "weft/sync/mutex.h"
#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <bool repaired>
void SwallowedNotify(Sim& io) {
  Mutex<Sim> mutex;
  Condition<Sim> changed;
  int items = 0;
  const auto consume = [&] {
    const MutexLock lock(mutex, io);
    while (items == 0) {
      if (!changed.Wait(io, mutex).ok()) return false;
      if (CheckCancelled(io).ok()) continue;
      if (repaired) changed.NotifyOne(io);
      return false;
    }
    --items;
    return true;
  };
  const auto produce = [&] {
    const MutexLock lock(mutex, io);
    ++items;
    changed.NotifyOne(io);
  };
  auto cancelled = Async(io, {.name = "cancelled"}, consume);
  auto other = Async(io, {.name = "other"}, consume);
  produce();
  cancelled.Cancel();
  if (cancelled.Await(io)) produce();
  other.Await(io);
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_SWALLOWED_NOTIFY_H_
