// Actor: one upstream that the source plays. It sends events at its own times,
// keeps them until they are acknowledged, and misbehaves as planned; whatever
// becomes of a connection, it goes on with the next one.
#ifndef WEFT_EXAMPLES_RELAY_SOURCE_ACTOR_H_
#define WEFT_EXAMPLES_RELAY_SOURCE_ACTOR_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "weft/backends/evented/evented.h"
#include "weft/examples/relay/frame.h"
#include "weft/examples/relay/frame_reader.h"
#include "weft/examples/relay/source/plan.h"
#include "weft/net/tcp_stream.h"
#include "weft/sync/channel.h"

namespace relay {

// A connection on which the relay asks for the events after number `after`.
struct Connection {
  weft::net::TcpStream stream;
  uint64_t after;
};

class Actor {
 public:
  Actor(const Plan& plan, uint32_t index);

  // Hands a connection over, which Play takes up when it has lost the one
  // before. Any task.
  absl::Status Connect(weft::Evented& io, Connection connection) {
    return connections_.Send(io, std::move(connection));
  }

  // Plays from `start` to the end of the plan, and until the relay has taken
  // the end message.
  absl::Status Play(weft::Evented& io, weft::MonotonicTime start);

  // After Play.
  uint64_t sent() const { return sent_; }
  uint64_t acknowledged() const { return acknowledged_; }

 private:
  struct Event {
    uint64_t sequence;
    int64_t sent_ns;
  };

  // OK when the relay has taken the end message; UNAVAILABLE and OUT_OF_RANGE
  // if it is to connect again.
  absl::Status Serve(weft::Evented& io, weft::MonotonicTime start,
                     Connection& connection);
  // Sends again what the relay does not have.
  absl::Status Replay(weft::Evented& io, Connection& connection);
  // Takes acks until then. OUT_OF_RANGE once the relay has closed.
  absl::Status TakeAcks(weft::Evented& io, FrameReader& reader,
                        weft::MonotonicTime until);
  absl::Status Acknowledge(const Message& ack);
  absl::Status SendNext(weft::Evented& io, weft::net::TcpStream& stream);
  // Sends a message without a payload about the events so far.
  absl::Status Tell(weft::Evented& io, weft::net::TcpStream& stream, Kind kind);
  absl::Status MisbehaveNext(weft::Evented& io, Connection& connection,
                             FrameReader& reader);

  Message MessageOf(const Event& event) const;

  const Plan& plan_;
  const uint32_t index_;
  Schedule schedule_;
  weft::Duration next_;                  // when the next event is due
  std::deque<PlannedMisdeed> misdeeds_;  // that are still to come
  weft::Channel<Connection, weft::Evented> connections_{1};
  std::deque<Event> kept_;  // not acknowledged, in their order
  uint64_t sent_ = 0;
  uint64_t acknowledged_ = 0;
};

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_SOURCE_ACTOR_H_
