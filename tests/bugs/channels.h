// Channel, Broadcast and Select, explored.
#ifndef WEFT_TESTS_BUGS_CHANNELS_H_
#define WEFT_TESTS_BUGS_CHANNELS_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "weft/sync/broadcast.h"
#include "weft/sync/channel.h"
#include "weft/sync/event.h"
#include "weft/sync/select.h"
#include "weft/tests/bugs/bug.h"
#include "weft/tests/bugs/interrupt.h"

namespace weft::bugs {

// The sum of what comes until the channel is closed.
inline int SumOf(Sim& io, Channel<int, Sim>& channel) {
  int sum = 0;
  for (auto value = channel.Receive(io); value.ok();
       value = channel.Receive(io)) {
    sum += *value;
  }
  return sum;
}

// A value is sent and received, or stays with its sender.
template <size_t capacity, Interrupt how>
void ChannelSend(Sim& io) {
  Channel<int, Sim> channel(capacity);
  const auto send = [&](int value) {
    return channel.Send(io, int{value}).ok() ? value : 0;
  };
  auto first = Interruptible<how>(io, [&] { return send(1); });
  auto second = Async(io, [&] { return send(2); });
  auto receiver = Async(io, [&] { return SumOf(io, channel); });
  Arrive<how>(io, first);
  const int sent = first.Await(io) + second.Await(io);
  channel.Close(io);
  Expect(io, sent == 3 || (sent == 2 && how != Interrupt::kNone),
         "a sender gave up by itself");
  Expect(io, receiver.Await(io) == sent, "a value was lost");
}

template <size_t capacity, Interrupt how>
void ChannelReceive(Sim& io) {
  Channel<int, Sim> channel(capacity);
  auto first = Interruptible<how>(io, [&] {
    const absl::StatusOr<int> value = channel.Receive(io);
    return value.ok() ? *value : 0;
  });
  auto second = Async(io, [&] { return SumOf(io, channel); });
  (void)channel.Send(io, 1);
  Arrive<how>(io, first);
  (void)channel.Send(io, 2);
  channel.Close(io);
  Expect(io, first.Await(io) + second.Await(io) == 3, "a value was lost");
}

// Who waits for room has it once a value was received.
template <Interrupt how>
void ChannelRoom(Sim& io) {
  Channel<int, Sim> channel(1);
  (void)channel.Send(io, 1);
  auto sender =
      Interruptible<how>(io, [&] { return channel.Send(io, 2).ok(); });
  Arrive<how>(io, sender);
  Expect(io, *channel.Receive(io) == 1, "values have changed places");
  const bool sent = sender.Await(io);
  Expect(io, sent || how != Interrupt::kNone, "a sender gave up by itself");
  Expect(io, channel.TryReceive(io).ok() == sent, "a value was lost");
}

// Closing wakes all that wait, and what was not handed over stays.
template <size_t capacity, Interrupt how>
void ChannelClose(Sim& io) {
  Channel<int, Sim> channel(capacity);
  const auto send = [&](int value) {
    return channel.Send(io, int{value}).ok() ? value : 0;
  };
  auto first = Interruptible<how>(io, [&] { return send(1); });
  auto second = Async(io, [&] { return send(2); });
  Arrive<how>(io, first);
  channel.Close(io);
  const int sent = first.Await(io) + second.Await(io);
  Expect(io, SumOf(io, channel) == sent, "a value was lost");
}

template <Interrupt how>
void BroadcastReceive(Sim& io) {
  Broadcast<int, Sim> broadcast(2);
  BroadcastReceiver<int, Sim> receiver(broadcast);
  BroadcastReceiver<int, Sim> all(broadcast);
  auto first = Interruptible<how>(io, [&] {
    const auto value = receiver.Receive(io);
    return value.ok() ? value->value : 0;
  });
  auto second = Async(io, [&] {
    int sum = 0;
    for (auto value = all.Receive(io); value.ok(); value = all.Receive(io)) {
      sum = 10 * sum + value->value;
    }
    return sum;
  });
  Arrive<how>(io, first);
  (void)broadcast.Send(io, 1);
  const int value = first.Await(io);
  (void)broadcast.Send(io, 2);
  broadcast.Close(io);
  Expect(io, value == 1 || how != Interrupt::kNone,
         "a receiver gave up by itself");
  const auto next = receiver.TryReceive(io);
  Expect(io, next.ok() && next->value == value + 1, "a value was lost");
  Expect(io, second.Await(io) == 12, "a value was lost");
}

// Takes one of two values; the other stays.
template <Interrupt how>
void SelectReceive(Sim& io) {
  Channel<int, Sim> a(0);
  Channel<int, Sim> b(1);
  auto taken = Interruptible<how>(io, [&] {
    int value = 0;
    const auto take = [&](const absl::StatusOr<int>& received) {
      value = received.ok() ? *received : 4;
    };
    (void)Select(io, OnReceive(a, take), OnReceive(b, take));
    return value;
  });
  const auto send = [&](Channel<int, Sim>& channel, int value) {
    Expect(io, channel.Send(io, int{value}).ok(), "a sender gave up");
  };
  auto to_a = Async(io, [&] { send(a, 1); });
  auto to_b = Async(io, [&] { send(b, 2); });
  Arrive<how>(io, taken);
  const int value = taken.Await(io);
  Expect(io, value < 3 && (value != 0 || how != Interrupt::kNone),
         "a Select gave up by itself");
  if (value != 1) Expect(io, a.Receive(io).ok(), "a value was lost");
  if (value != 2) Expect(io, b.Receive(io).ok(), "a value was lost");
  to_a.Await(io);
  to_b.Await(io);
}

// Sends to one of two; nothing is sent if it is interrupted.
template <Interrupt how>
void SelectSend(Sim& io) {
  Channel<int, Sim> a(0);
  Channel<int, Sim> b(0);
  auto sender = Interruptible<how>(io, [&] {
    int sent = 0;
    (void)Select(
        io, OnSend(a, 1, [&](const absl::Status& s) { sent = s.ok() ? 1 : 0; }),
        OnSend(b, 1, [&](const absl::Status& s) { sent = s.ok() ? 1 : 0; }));
    return sent;
  });
  auto from_a = Async(io, [&] { return SumOf(io, a); });
  auto from_b = Async(io, [&] { return SumOf(io, b); });
  Arrive<how>(io, sender);
  const int sent = sender.Await(io);
  a.Close(io);
  b.Close(io);
  Expect(io, sent == 1 || how != Interrupt::kNone, "a Select gave up");
  Expect(io, from_a.Await(io) + from_b.Await(io) == sent,
         "not what was sent was received");
}

// Two that meet on two channels exchange one value, over the same channel.
inline void SelectMeetsSelect(Sim& io) {
  Channel<int, Sim> a(0);
  Channel<int, Sim> b(0);
  const auto nothing = [](const auto&) {};
  auto other = Async(io, [&] {
    return *Select(io, OnReceive(a, nothing), OnSend(b, 1, nothing));
  });
  const size_t own = *Select(io, OnSend(a, 1, nothing), OnReceive(b, nothing));
  Expect(io, other.Await(io) == own, "they chose different channels");
}

// The end of a task, an event and a time at once.
template <Interrupt how>
void SelectFirst(Sim& io) {
  Event<Sim> event;
  auto ends = Async(io, [] {});
  auto select = Interruptible<how>(io, [&] {
    return Select(io, OnEnd(ends), OnEvent(event), After(kDeadlineOfWait)).ok();
  });
  Arrive<how>(io, select);
  event.Set(io);
  const bool told = select.Await(io);
  Expect(io, told || how != Interrupt::kNone, "a Select gave up by itself");
  ends.Await(io);
  Expect(io, event.waiters() == 0, "a watcher is left");
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_CHANNELS_H_
