// A timer fires and is cleared at the same moment. Who clears it believes that
// it will not fire any more and frees what it works on. Repaired: firing and
// clearing compete for one word.
#ifndef WEFT_TESTS_BUGS_TIMER_CLEARED_H_
#define WEFT_TESTS_BUGS_TIMER_CLEARED_H_

#include <chrono>

#include "weft/runtime/clock.h"
#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <bool repaired>
void TimerCleared(Sim& io) {
  constexpr Duration kTime = std::chrono::milliseconds(5);
  Shared<bool> over{false};
  Shared<bool> freed{false};
  const auto fire = [&] {
    (void)Sleep(io, kTime);
    if (repaired ? over.exchange(true) : over.load()) return;
    Expect(io, !freed.load(), "the timer fired after it was cleared");
  };
  const auto clear = [&] {
    (void)Sleep(io, kTime);
    const bool cleared = !over.exchange(true);
    if (cleared || !repaired) freed.store(true);
  };
  Together(io, fire, clear);
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_TIMER_CLEARED_H_
