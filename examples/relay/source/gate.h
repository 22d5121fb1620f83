// Gate: where the relay connects to the upstreams. It can be shut for a while,
// and connects are refused then.
#ifndef WEFT_EXAMPLES_RELAY_SOURCE_GATE_H_
#define WEFT_EXAMPLES_RELAY_SOURCE_GATE_H_

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "weft/net/address.h"
#include "weft/net/descriptor.h"
#include "weft/net/tcp_listener.h"
#include "weft/net/tcp_stream.h"
#include "weft/runtime/io.h"

namespace relay {

class Gate {
 public:
  // Open, on a free port of the loopback address.
  static absl::StatusOr<Gate> Make(weft::Io& io);

  // Waits for a connection. The gate is open, and stays so meanwhile.
  absl::StatusOr<weft::net::TcpStream> Accept(weft::Io& io) {
    return listener_->Accept(io);
  }

  // Refuses connects, those that nobody has accepted included.
  void Shut() { listener_.reset(); }
  // Accepts connects again, on the same port.
  absl::Status Open(weft::Io& io);

  const weft::net::SocketAddress& address() const { return address_; }

 private:
  Gate(weft::net::TcpListener listener, weft::net::Descriptor holder)
      : address_(listener.local_address()),
        listener_(std::move(listener)),
        holder_(std::move(holder)) {}

  weft::net::SocketAddress address_;
  std::optional<weft::net::TcpListener> listener_;
  // Has the port and does not listen: while the gate is shut nobody else can
  // get it, least of all a connect that is its own peer then.
  weft::net::Descriptor holder_;
};

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_SOURCE_GATE_H_
