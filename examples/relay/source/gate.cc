#include "weft/examples/relay/source/gate.h"

#include <sys/socket.h>

#include <cerrno>

#include "weft/runtime/status.h"

namespace relay {
namespace {

using weft::net::SocketAddress;
using weft::net::TcpListener;

// So that the holder may have the port too.
constexpr weft::net::ListenOptions kShared = {.reuse_port = true};

absl::StatusOr<weft::net::Descriptor> Hold(const SocketAddress& address) {
  weft::net::Descriptor holder(
      socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (!holder.valid() ||
      setsockopt(holder.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
      setsockopt(holder.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0 ||
      bind(holder.get(), address.data(), address.size()) < 0) {
    return weft::ErrnoStatus(errno, "hold " + address.ToString());
  }
  return holder;
}

}  // namespace

absl::StatusOr<Gate> Gate::Make(weft::Io& io) {
  auto listener = TcpListener::Bind(io, SocketAddress::Loopback(0), kShared);
  if (!listener.ok()) return listener.status();
  auto holder = Hold(listener->local_address());
  if (!holder.ok()) return holder.status();
  return Gate(*std::move(listener), *std::move(holder));
}

absl::Status Gate::Open(weft::Io& io) {
  auto listener = TcpListener::Bind(io, address_, kShared);
  if (!listener.ok()) return listener.status();
  listener_ = *std::move(listener);
  return absl::OkStatus();
}

}  // namespace relay
