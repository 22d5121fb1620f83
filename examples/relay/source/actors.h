// Actors: all the upstreams that the source plays, each a task.
#ifndef WEFT_EXAMPLES_RELAY_SOURCE_ACTORS_H_
#define WEFT_EXAMPLES_RELAY_SOURCE_ACTORS_H_

#include <atomic>
#include <cstdint>
#include <deque>

#include "absl/status/status.h"
#include "weft/backends/evented/evented.h"
#include "weft/examples/relay/source/actor.h"
#include "weft/examples/relay/source/gate.h"
#include "weft/examples/relay/source/plan.h"
#include "weft/net/tcp_stream.h"
#include "weft/sync/event.h"
#include "weft/sync/latch.h"

namespace relay {

class Actors {
 public:
  explicit Actors(const Plan& plan);

  // Lets the relay's connections in, and keeps them out during the outage that
  // is planned. Until cancelled.
  absl::Status KeepGate(weft::Evented& io, Gate& gate);

  // Waits until each upstream has had a connection.
  absl::Status AwaitConnections(weft::Evented& io) {
    return strangers_.Wait(io);
  }

  // Plays from now on, until the relay knows that there are no more events.
  absl::Status Play(weft::Evented& io);

  // After Play. Events of all upstreams that were sent, once or again.
  uint64_t sent() const;
  // Events that the relay has acknowledged to one of them.
  uint64_t acknowledged(uint32_t upstream) const {
    return roles_[upstream].actor.acknowledged();
  }

 private:
  struct Role {
    Role(const Plan& plan, uint32_t index) : actor(plan, index) {}

    Actor actor;
    std::atomic<bool> known{false};  // to the relay
  };

  absl::Status Accept(weft::Evented& io, Gate& gate);
  // Waits for the hello of a new connection and gives it to its upstream.
  absl::Status Introduce(weft::Evented& io, weft::net::TcpStream stream);

  const Plan& plan_;
  std::deque<Role> roles_;
  weft::Latch<weft::Evented> strangers_;
  weft::MonotonicTime start_;  // once started_ is set
  weft::Event<weft::Evented> started_;
};

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_SOURCE_ACTORS_H_
