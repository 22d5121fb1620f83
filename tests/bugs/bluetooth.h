// The Bluetooth driver of the model checkers (KISS, CHESS, SCTBench): a request
// looks whether the driver is being stopped and only then counts itself, so the
// driver may have stopped in between. Repaired: count first, then look.
#ifndef WEFT_TESTS_BUGS_BLUETOOTH_H_
#define WEFT_TESTS_BUGS_BLUETOOTH_H_

#include "weft/sync/event.h"
#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <bool repaired>
void Bluetooth(Sim& io) {
  Shared<bool> stopping{false};
  Shared<bool> stopped{false};
  Shared<int> pending{1};
  Event<Sim> all_done;
  const auto leave = [&] {
    if (pending.fetch_sub(1) == 1) all_done.Set(io);
  };
  const auto request = [&] {
    if (!repaired && stopping.load()) return;
    pending.fetch_add(1);
    const bool enter = !repaired || !stopping.load();
    if (enter) {
      Expect(io, !stopped.load(), "a request runs in a stopped driver");
    }
    leave();
  };
  const auto stop = [&] {
    stopping.store(true);
    leave();
    (void)all_done.Wait(io);
    stopped.store(true);
  };
  Together(io, stop, request);
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_BLUETOOTH_H_
