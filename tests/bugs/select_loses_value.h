// A select made by hand: a task receives from each of two channels, the first
// that has something wins, the other is cancelled. If it has received as well,
// that value is lost. Repaired: Select, which takes one value or none.
#ifndef WEFT_TESTS_BUGS_SELECT_LOSES_VALUE_H_
#define WEFT_TESTS_BUGS_SELECT_LOSES_VALUE_H_

#include "weft/sync/channel.h"
#include "weft/sync/select.h"
#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <bool repaired>
void SelectLosesValue(Sim& io) {
  Channel<int, Sim> a(1);
  Channel<int, Sim> b(1);
  int received = 0;
  const auto take_one = [&] {
    if constexpr (repaired) {
      const auto take = [&](const absl::StatusOr<int>& value) {
        received += value.ok() ? 1 : 0;
      };
      (void)Select(io, OnReceive(a, take), OnReceive(b, take));
    } else {
      auto from_a = Async(io, [&] { return a.Receive(io); });
      auto from_b = Async(io, [&] { return b.Receive(io); });
      Event<Sim> never;
      (void)Select(io, OnEnd(from_a), OnEnd(from_b));
      if (from_a.ready()) from_b.Cancel();
      if (from_b.ready()) from_a.Cancel();
      const bool got_a = from_a.Await(io).ok();
      const bool got_b = from_b.Await(io).ok();
      received += got_a || got_b ? 1 : 0;
    }
  };
  const auto send = [&](Channel<int, Sim>& channel) {
    (void)channel.Send(io, 1);
  };
  auto to_a = Async(io, {.name = "to a"}, [&] { send(a); });
  auto to_b = Async(io, {.name = "to b"}, [&] { send(b); });
  take_one();
  to_a.Await(io);
  to_b.Await(io);
  for (Channel<int, Sim>* channel : {&a, &b}) {
    if (channel->TryReceive(io).ok()) ++received;
  }
  Expect(io, received == 2, "a value was lost");
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_SELECT_LOSES_VALUE_H_
