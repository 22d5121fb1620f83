// A select made by hand: a task leaves its name in two places and waits. If it
// is cancelled, it takes the name back; but on another worker somebody has
// found it already and gives the value to a task that is gone. Repaired:
// Select, where whoever comes first decides.
#ifndef WEFT_TESTS_BUGS_CANCELLED_SELECT_H_
#define WEFT_TESTS_BUGS_CANCELLED_SELECT_H_

#include "weft/sync/channel.h"
#include "weft/sync/event.h"
#include "weft/sync/select.h"
#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

struct SelectByHand {
  struct Waiter {
    Shared<int> value{0};
    Event<Sim> given;
  };
  struct Source {
    Shared<Waiter*> waiter{nullptr};
    Shared<int> kept{0};
  };

  void Give(Sim& io, int value) {
    Waiter* const waiter = a.waiter.exchange(nullptr);
    if (waiter == nullptr) return a.kept.store(value);
    waiter->value.store(value);
    waiter->given.Set(io);
  }
  // 0 if it was cancelled.
  int Take(Sim& io) {
    a.waiter.store(&own);
    b.waiter.store(&own);
    const bool given = own.given.Wait(io).ok();
    a.waiter.store(nullptr);
    b.waiter.store(nullptr);
    return given ? own.value.load() : 0;
  }

  Source a;
  Source b;
  Waiter own;
};

template <bool repaired>
void CancelledSelect(Sim& io) {
  SelectByHand by_hand;
  Channel<int, Sim> a(1);
  Channel<int, Sim> b(1);
  int taken = 0;
  const auto take = [&] {
    if (!repaired) {
      taken = by_hand.Take(io);
      return;
    }
    const auto keep = [&](const absl::StatusOr<int>& value) { taken = *value; };
    (void)Select(io, OnReceive(a, keep), OnReceive(b, keep));
  };
  const auto give = [&] {
    repaired ? (void)a.Send(io, 1) : by_hand.Give(io, 1);
  };
  auto taker = Async(io, {.name = "taker"}, take);
  auto giver = Async(io, {.name = "giver"}, give);
  taker.Cancel();
  taker.Await(io);
  giver.Await(io);
  const bool left =
      repaired ? a.TryReceive(io).ok() : by_hand.a.kept.load() == 1;
  Expect(io, left || taken == 1, "the value was lost");
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_CANCELLED_SELECT_H_
