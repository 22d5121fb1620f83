// TcpListener: a TCP socket that accepts connections.
//
//   auto listener = net::TcpListener::Bind(io, address);
//   if (!listener.ok()) return listener.status();
//   for (;;) {
//     absl::StatusOr<net::TcpStream> stream = listener->Accept(io);
//     ...
//   }
//
// **Threads.** Any number of tasks, of any backends, may accept at once, up to
// 2^32 - 1; each connection goes to one of them. On Evented it wakes only that
// one; on Threaded it wakes all that wait there, so a few do better than many.
// Close may be called by any task at any time. Moving and destroying a listener
// that is in use is misuse, which is checked.
//
// **Cancelling.** Accept gives up with CANCELLED or DEADLINE_EXCEEDED; a
// connection is then left for the next Accept, or for another that waits.
#ifndef WEFT_NET_TCP_LISTENER_H_
#define WEFT_NET_TCP_LISTENER_H_

#include <utility>

#include "absl/status/statusor.h"
#include "weft/net/address.h"
#include "weft/net/descriptor.h"
#include "weft/net/internal/shared_socket.h"
#include "weft/net/tcp_stream.h"
#include "weft/runtime/io.h"

namespace weft::net {

struct ListenOptions {
  // How many connections may wait to be accepted. The kernel cuts it down to
  // net.core.somaxconn.
  int backlog = 4096;
  // Lets other listeners with this option, of the same user, bind the same
  // address; the kernel spreads the connections over them.
  bool reuse_port = false;
  // Whether an IPv6 listener refuses IPv4 connections; else they come with
  // addresses such as ::ffff:192.0.2.1.
  bool ipv6_only = false;
};

class TcpListener {
 public:
  // Listens on `address`; port 0 is any free one. An address that lingers
  // from connections of an earlier listener may be bound (SO_REUSEADDR). Does
  // not block.
  // Errors: ALREADY_EXISTS if another socket has the address (EADDRINUSE);
  // UNAVAILABLE if this machine does not (EADDRNOTAVAIL); PERMISSION_DENIED
  // for ports that are privileged (EACCES); INVALID_ARGUMENT without IPv6 for
  // IPv6 addresses (EAFNOSUPPORT) and for a bad zone (EINVAL);
  // RESOURCE_EXHAUSTED at a limit on descriptors or memory (EMFILE, ENFILE,
  // ENOBUFS, ENOMEM).
  static absl::StatusOr<TcpListener> Bind(Io& io, const SocketAddress& address,
                                          const ListenOptions& options = {});

  // Blocks until somebody connects. Connections that broke before they were
  // accepted are passed over.
  // Errors: RESOURCE_EXHAUSTED at a limit on descriptors or memory (EMFILE,
  // ENFILE, ENOBUFS, ENOMEM): the connection goes on waiting, so let others
  // close something before the next try; FAILED_PRECONDITION when this side
  // has closed the listener, before the call or while it waited (ESHUTDOWN),
  // and on one that was moved from (EBADF); PERMISSION_DENIED if a firewall
  // refuses (EPERM).
  absl::StatusOr<TcpStream> Accept(Io& io);

  // Where it listens, with the port that was chosen.
  const SocketAddress& local_address() const { return local_; }

  // Stays the listener's own; -1 once closed.
  int fd() const { return socket_.fd(); }
  // Resets the connections that nobody has accepted. Tasks that wait in Accept
  // return ESHUTDOWN; the number of the descriptor is free once the last of
  // them has returned. Does not block. May be called more than once.
  void Close() { socket_.Close(); }

 private:
  TcpListener(Descriptor descriptor, const SocketAddress& local)
      : socket_(std::move(descriptor)), local_(local) {}

  internal::SharedSocket socket_;
  SocketAddress local_;
};

}  // namespace weft::net

#endif  // WEFT_NET_TCP_LISTENER_H_
