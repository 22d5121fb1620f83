// Doors: what the relay opens to the outside before it starts.
#ifndef WEFT_EXAMPLES_RELAY_DOORS_H_
#define WEFT_EXAMPLES_RELAY_DOORS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "weft/examples/relay/config.h"
#include "weft/examples/relay/log.h"
#include "weft/net/tcp_listener.h"
#include "weft/runtime/io.h"

namespace relay {

struct Doors {
  std::unique_ptr<Log> log;
  weft::net::TcpListener subscribers;
  weft::net::TcpListener health;
};

// All of them, or what is wrong with the first that cannot be opened.
absl::StatusOr<Doors> OpenDoors(weft::Io& io, const Config& config);

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_DOORS_H_
