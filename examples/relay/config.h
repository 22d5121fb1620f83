// Config: what the relay is told on its command line.
#ifndef WEFT_EXAMPLES_RELAY_CONFIG_H_
#define WEFT_EXAMPLES_RELAY_CONFIG_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "weft/examples/relay/backoff.h"
#include "weft/net/address.h"
#include "weft/runtime/clock.h"
#include "weft/runtime/options.h"

namespace relay {

struct Config {
  weft::Options weft = weft::Options::FromEnvironment();

  weft::net::SocketAddress source;  // where all the upstreams are
  uint64_t upstreams = 2800;
  uint64_t connecting = 64;  // upstreams that may be connecting at once
  weft::Duration connect_timeout = std::chrono::seconds(3);
  // How long one frame may take.
  weft::Duration frame_timeout = std::chrono::seconds(2);
  // How long an upstream may send nothing; longer than its heartbeats take.
  weft::Duration silence_timeout = std::chrono::seconds(30);
  BackoffOptions retry;

  std::string log = "relay.log";
  uint64_t event_queue = 4096;  // events between the upstreams and the log

  weft::net::SocketAddress subscribers = weft::net::SocketAddress::Loopback(0);
  uint64_t subscriber_queue = 4096;  // events that a subscriber may lag behind
  uint64_t subscriber_buffer = 64 << 10;  // bytes that the kernel may hold

  weft::net::SocketAddress health = weft::net::SocketAddress::Loopback(0);

  uint64_t fault_reports = 20;  // faults to tell of; then they only count

  // How long the relay may take to stop. Subscribers that do not have the rest
  // by then are cut off.
  weft::Duration stop_within = std::chrono::seconds(10);
};

// INVALID_ARGUMENT names the flag that is wrong.
absl::StatusOr<Config> ReadConfig(int argc, char** argv);

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_CONFIG_H_
