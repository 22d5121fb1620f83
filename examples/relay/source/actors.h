// Actors: the upstreams that the source plays, each a task that sends events
// at its own times, or does what peers should not do.
#ifndef WEFT_EXAMPLES_RELAY_SOURCE_ACTORS_H_
#define WEFT_EXAMPLES_RELAY_SOURCE_ACTORS_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "weft/backends/evented/evented.h"
#include "weft/examples/relay/source/plan.h"
#include "weft/net/tcp_listener.h"
#include "weft/net/tcp_stream.h"

namespace relay {

class Actors {
 public:
  explicit Actors(const Plan& plan);

  // Accepts the relay's connections until each upstream has its own.
  absl::Status Accept(weft::Evented& io, weft::net::TcpListener& listener);

  // Plays from `start` on, to the end of the plan.
  absl::Status Play(weft::Evented& io, weft::MonotonicTime start);

  // Tells the relay that the well-behaved upstreams have no more events.
  absl::Status End(weft::Evented& io);

  uint64_t sent() const { return sent_; }

 private:
  struct Actor {
    std::optional<weft::net::TcpStream> stream;
    uint64_t sent = 0;
  };

  bool IsFaulty(uint32_t index) const { return index >= plan_.upstreams; }
  absl::Status Send(weft::Evented& io, uint32_t index);
  absl::Status PlayWell(weft::Evented& io, uint32_t index,
                        weft::MonotonicTime start);
  absl::Status PlayBadly(weft::Evented& io, uint32_t index,
                         weft::MonotonicTime start);

  const Plan& plan_;
  const std::string payload_;
  std::vector<Actor> actors_;
  std::atomic<uint64_t> sent_{0};
};

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_SOURCE_ACTORS_H_
