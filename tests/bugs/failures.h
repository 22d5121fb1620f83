// Programs that fail in one way each, in some schedules only, for a look at
// the tokens of their failures.
#ifndef WEFT_TESTS_BUGS_FAILURES_H_
#define WEFT_TESTS_BUGS_FAILURES_H_

#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "weft/net/address.h"
#include "weft/net/tcp_listener.h"
#include "weft/net/tcp_stream.h"
#include "weft/sync/channel.h"
#include "weft/sync/mutex.h"
#include "weft/sync/select.h"
#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

// A task looks at a word between the two writes of another, and then does
// `fail`.
template <class Fail>
void BetweenTwoWrites(Sim& io, const Fail& fail) {
  Shared<int> word{0};
  const auto write = [&] {
    word.store(1);
    word.store(2);
  };
  const auto look = [&] {
    if (word.load() == 1) fail();
  };
  Together(io, write, look);
}

// A check of weft: the task does not hold the mutex.
inline void FailsByCheck(Sim& io) {
  Mutex<Sim> mutex;
  BetweenTwoWrites(io,
                   [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { mutex.Unlock(io); });
}

inline void FailsBySignal(Sim& io) {
  BetweenTwoWrites(io, [] { std::abort(); });
}

// With faults only.
inline void FailsByFault(Sim& io) {
  auto listener = net::TcpListener::Bind(io, net::SocketAddress::Loopback(0));
  if (!listener.ok()) return;
  const auto connect = [&] {
    auto stream = net::TcpStream::Connect(io, listener->local_address());
    Expect(io, stream.ok(), "there is a listener, and it does not answer");
  };
  const auto accept = [&] { (void)listener->Accept(io); };
  auto accepted = Async(io, accept);
  connect();
  accepted.Cancel();
  accepted.Await(io);
}

// A Select locks several channels in one order, and not in that of their
// addresses, which differs from schedule to schedule and between processes:
// here an allocator gives memory back last in, first out.
inline void FailsInSelect(Sim& io) {
  auto a = std::make_unique<Channel<int, Sim>>(1);
  auto b = std::make_unique<Channel<int, Sim>>(1);
  int first = 0;
  int last = 0;
  const auto receive = [&] {
    const auto take = [&](const absl::StatusOr<int>& value) {
      if (first == 0) first = *value;
      last = *value;
    };
    (void)Select(io, OnReceive(*a, take), OnReceive(*b, take));
  };
  const auto send_a = [&] { (void)a->Send(io, 1); };
  const auto send_b = [&] { (void)b->Send(io, 2); };
  Together(io, receive, send_a, receive, send_b);
  Expect(io, first != 2 || last != 1, "the second came first");
  // In this order, so that they come back in the other.
  a = nullptr;
  b = nullptr;
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_FAILURES_H_
