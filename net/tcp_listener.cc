#include "weft/net/tcp_listener.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "weft/net/internal/socket.h"
#include "weft/runtime/internal/sockets.h"
#include "weft/runtime/operation.h"

namespace weft::net {
namespace {

using internal::SharedSocket;

// Errors that accept(2) reports of a connection rather than of the listener:
// with them the connection is gone.
bool IsOfOneConnection(int64_t result) {
  switch (-result) {
    case ECONNABORTED:
    case ENETDOWN:
    case EPROTO:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
      return true;
    default:
      return false;
  }
}

int64_t Listen(int fd, const SocketAddress& address,
               const ListenOptions& options) {
  int64_t result = internal::SetOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (result == 0 && options.reuse_port) {
    result = internal::SetOption(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  }
  if (result == 0 && address.family() == AF_INET6) {
    result = internal::SetOption(fd, IPPROTO_IPV6, IPV6_V6ONLY,
                                 options.ipv6_only ? 1 : 0);
  }
  if (result < 0) return result;
  result = internal::Bind(fd, address);
  if (result < 0) return result;
  return weft::internal::SocketsOf(fd).Listen(fd, options.backlog);
}

}  // namespace

absl::StatusOr<TcpListener> TcpListener::Bind(Io& /*io*/,
                                              const SocketAddress& address,
                                              const ListenOptions& options) {
  // Non-blocking, because another task may take the connection between a
  // backend's poll and its accept4.
  int64_t result = internal::OpenTcp(address.family(), SOCK_NONBLOCK);
  if (result < 0) return internal::CallStatus("listen", address, result);
  Descriptor descriptor(static_cast<int>(result));
  result = Listen(descriptor.get(), address, options);
  SocketAddress local;
  if (result == 0) result = internal::LocalAddress(descriptor.get(), local);
  if (result < 0) return internal::CallStatus("listen", address, result);
  return TcpListener(std::move(descriptor), local);
}

absl::StatusOr<TcpStream> TcpListener::Accept(Io& io) {
  const SharedSocket::Turn turn(socket_, SharedSocket::kOther);
  for (;;) {
    sockaddr_storage storage;
    socklen_t size = sizeof(storage);
    auto* const name = reinterpret_cast<sockaddr*>(&storage);
    const int64_t result = turn.Outcome(io.Perform(
        op::Accept{.fd = turn.fd(), .address = name, .address_length = &size}));
    if (result >= 0) {
      Descriptor descriptor(static_cast<int>(result));
      const auto peer = SocketAddress::FromSockaddr(name, size);
      if (!peer.ok()) return peer.status();
      return TcpStream(std::move(descriptor), *peer);
    }
    if (!IsOfOneConnection(result))
      return internal::CallStatus("accept", local_, result);
  }
}

}  // namespace weft::net
