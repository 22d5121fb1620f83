// A channel is closed while a sender is parked in it. The sender takes for
// granted that what it sent has arrived. Repaired: it looks at the status.
#ifndef WEFT_TESTS_BUGS_CLOSED_UNDER_SENDER_H_
#define WEFT_TESTS_BUGS_CLOSED_UNDER_SENDER_H_

#include "weft/sync/channel.h"
#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <bool repaired>
void ClosedUnderSender(Sim& io) {
  Channel<int, Sim> channel(1);
  int sent = 0;
  int received = 0;
  const auto send = [&] {
    for (int i = 0; i < 2; ++i) {
      const absl::Status status = channel.Send(io, int{i});
      if (!repaired || status.ok()) ++sent;
    }
  };
  const auto receive = [&] {
    if (channel.Receive(io).ok()) ++received;
    channel.Close(io);
    while (channel.Receive(io).ok()) ++received;
  };
  Together(io, send, receive);
  Expect(io, sent == received, "a value was sent and never received");
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_CLOSED_UNDER_SENDER_H_
