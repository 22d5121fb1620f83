// A message comes in two parts. A reader with a deadline has received the first
// when its time is up, and drops it; the next read takes the second part for
// a first one. Repaired: what was received is kept.
#ifndef WEFT_TESTS_BUGS_DEADLINE_DROPS_PART_H_
#define WEFT_TESTS_BUGS_DEADLINE_DROPS_PART_H_

#include <chrono>

#include "weft/runtime/clock.h"
#include "weft/runtime/scope.h"
#include "weft/sync/channel.h"
#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <bool repaired>
void DeadlineDropsPart(Sim& io) {
  constexpr Duration kTime = std::chrono::milliseconds(2);
  Channel<int, Sim> parts(2);
  int kept = 0;  // the first part, once it was received
  const auto read = [&] {
    const Deadline deadline(io, kTime);
    if (kept == 0 || !repaired) {
      const absl::StatusOr<int> first = parts.Receive(io);
      if (!first.ok()) return false;
      kept = *first;
    }
    const absl::StatusOr<int> second = parts.Receive(io);
    if (!second.ok()) return false;
    Expect(io, kept == 1 && *second == 2, "half a message was lost");
    return true;
  };
  const auto write = [&] {
    (void)parts.Send(io, 1);
    (void)Sleep(io, kTime);
    (void)parts.Send(io, 2);
    (void)Sleep(io, kTime);
    (void)parts.Send(io, 1);
    (void)parts.Send(io, 2);
  };
  const auto read_all = [&] {
    while (!read()) {
    }
  };
  Together(io, write, read_all);
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_DEADLINE_DROPS_PART_H_
