// The operations of NetworkCore. Each is an attempt, and waits in between.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <variant>

#include "weft/backends/sim/internal/network_core.h"
#include "weft/backends/sim/internal/scheduler.h"
#include "weft/runtime/internal/current.h"
#include "weft/runtime/status.h"
#include "weft/runtime/task.h"

namespace weft::sim {
namespace {

// What sending and receiving take beside their usual flags; others change
// what a call does in ways that are not simulated.
constexpr int kKnownFlags = MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT | MSG_NOSIGNAL |
                            MSG_MORE | MSG_CMSG_CLOEXEC;

// How long Linux looks for a neighbour that does not exist.
constexpr Duration kNoNeighbour = std::chrono::seconds(3);

}  // namespace

// A call that is in a socket.
class NetworkCore::Use {
 public:
  Use(NetworkCore& core, SocketPointer socket)
      : core_(core), socket_(std::move(socket)) {
    ++socket_->users;
  }
  ~Use() {
    if (--socket_->users == 0 && socket_->closed) core_.Release(*socket_);
  }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

 private:
  NetworkCore& core_;
  const SocketPointer socket_;
};

int64_t NetworkCore::Perform(const Operation& operation) {
  return std::visit(
      [&](const auto& op) -> int64_t {
        const SocketPointer socket = Find(op.fd);
        if (socket == nullptr) return -EBADF;
        if (socket->dead) return -ENETDOWN;
        const Use use(*this, socket);
        const char* const call = weft::Name(operation);
        if (const int error = scheduler_.FaultAt(call); error != 0) {
          if (socket->state == Socket::State::kConnected &&
              (error == ECONNRESET || error == EPIPE || error == ETIMEDOUT)) {
            wire_.Reset(socket->end);
          }
          return -error;
        }
        const int64_t result = PerformOn(*socket, op);
        if (result >= 0) scheduler_.CallSucceeded(call);
        return result;
      },
      operation);
}

template <class Attempt>
int64_t NetworkCore::Await(const Socket& socket, const char* what,
                           Attempt attempt, MonotonicTime until) {
  for (;;) {
    int64_t result = attempt();
    if (result != -EAGAIN) return result;
    const WakeReason reason =
        scheduler_.Block({.object = wait_on_, .what = what, .deadline = until});
    if (socket.dead) return -ENETDOWN;
    if (reason == WakeReason::kWoken) continue;
    result = attempt();
    if (result != -EAGAIN) return result;
    const Interruption interruption = internal::current.task->GiveUp();
    if (interruption != Interruption::kNone) {
      return internal::InterruptionResult(interruption);
    }
    if (scheduler_.now() >= until) return -ETIMEDOUT;
  }
}

// --- Connections -----------------------------------------------------------

int64_t NetworkCore::TryAccept(Socket& listener, const op::Accept& accept) {
  if (listener.state != Socket::State::kListening) return -EINVAL;
  if (listener.accept_queue.empty()) {
    wait_on_ = listener.accepters();
    return -EAGAIN;
  }
  const EndPointer end = listener.accept_queue.front();
  auto socket = std::make_shared<Socket>();
  socket->state = Socket::State::kConnected;
  socket->host = listener.host;
  socket->family = listener.family;
  socket->descriptor_flags = FD_CLOEXEC;
  socket->status_flags = O_RDWR;
  socket->local = end->local;
  socket->bound = true;
  socket->options = listener.options;
  socket->send_limit = end->send_limit;
  socket->receive_limit = end->receive_limit;
  socket->end = end;
  const int64_t fd = Install(std::move(socket));
  // Without a descriptor for it, it goes on waiting.
  if (fd < 0) return fd;
  listener.accept_queue.pop_front();
  wire_.WakeConnecters();
  end->peer.Write(listener.family, accept.address, accept.address_length);
  return fd;
}

int64_t NetworkCore::PerformOn(Socket& socket, const op::Accept& accept) {
  return Await(socket, "accept", [&] { return TryAccept(socket, accept); });
}

int64_t NetworkCore::TryConnect(Socket& socket, uint32_t host,
                                const NetworkAddress& peer) {
  // shutdown(2) ended it.
  if (socket.state != Socket::State::kConnecting) {
    const int error = std::exchange(socket.error, 0);
    return error != 0 ? -error : -ECONNABORTED;
  }
  wait_on_ = wire_.connecters();
  if (!wire_.IsOpen(socket.host, host) || !wire_.IsOpen(host, socket.host)) {
    return -EAGAIN;
  }
  Socket* const listener = ListenerAt(host, peer);
  if (listener == nullptr) return -ECONNREFUSED;
  // As in Linux, there is room for one more than the backlog.
  if (listener->accept_queue.size() > listener->backlog) return -EAGAIN;
  auto connection = std::make_shared<Connection>();
  const EndPointer client(connection, 0);
  const EndPointer server(connection, 1);
  client->host = server->peer_host = socket.host;
  client->peer_host = server->host = host;
  client->local = server->peer = socket.local;
  client->peer = server->local = peer;
  const auto set_limits = [](End& end, const Socket& from) {
    end.send_limit = from.send_limit;
    end.receive_limit = from.receive_limit;
    end.user_timeout =
        std::chrono::milliseconds(from.Option(IPPROTO_TCP, TCP_USER_TIMEOUT));
  };
  set_limits(*client, socket);
  set_limits(*server, *listener);
  wire_.Add(connection);
  socket.state = Socket::State::kConnected;
  socket.end = client;
  listener->accept_queue.push_back(server);
  wire_.Wake(listener->accepters());
  return 0;
}

int64_t NetworkCore::PerformOn(Socket& socket, const op::Connect& connect) {
  NetworkAddress peer;
  if (const int64_t result = NetworkAddress::Read(
          socket.family, connect.address, connect.address_length, peer);
      result < 0) {
    return result;
  }
  if (socket.state == Socket::State::kConnecting) return -EALREADY;
  if (socket.state != Socket::State::kNew) return -EISCONN;
  const IpAddress& bound_ip = socket.local.ip;
  if (peer.ip.IsAny()) {
    IpAddress v6_loopback = [] {
      std::array<uint8_t, 16> bytes{};
      bytes.back() = 1;
      return IpAddress(bytes);
    }();
    peer.ip = peer.ip.IsV4() ? IpAddress::V4(127, 0, 0, 1) : v6_loopback;
  }
  if (peer.ip.IsMulticast()) return -ENETUNREACH;
  const bool local = wire_.Owns(socket.host, peer.ip);
  if (bound_ip.IsLoopback() && !local) return -EINVAL;
  const std::optional<uint32_t> owner =
      local ? std::optional(socket.host) : wire_.OwnerOf(peer.ip);
  if (!owner.has_value() && !Wire::IsNear(peer.ip)) return -ENETUNREACH;
  NetworkAddress from = socket.local;
  if (from.ip.IsAny()) from.ip = SourceFor(socket.host, peer.ip);
  if (from.port == 0) from.port = FreePort(socket, from.ip);
  if (from.port == 0) return -EADDRNOTAVAIL;
  socket.local = from;
  socket.bound = true;
  socket.state = Socket::State::kConnecting;
  const int64_t result = owner.has_value()
                             ? ConnectTo(socket, *owner, peer)
                             : Pause(socket, kNoNeighbour, -EHOSTUNREACH);
  // After a failure the socket may be used again; after a cancel, the kernel
  // goes on with it.
  if (result < 0 && result != -ECANCELED && result != -ETIME &&
      socket.state == Socket::State::kConnecting) {
    socket.state = Socket::State::kNew;
  }
  return result;
}

int64_t NetworkCore::ConnectTo(Socket& socket, uint32_t host,
                               const NetworkAddress& peer) {
  // There and back.
  const Duration latency = wire_.DrawLatency(socket.host, host) +
                           wire_.DrawLatency(host, socket.host);
  if (latency > Duration(0)) {
    const int64_t result = Pause(socket, latency, 0);
    if (result < 0) return result;
  }
  const int user_timeout = socket.Option(IPPROTO_TCP, TCP_USER_TIMEOUT);
  const Duration timeout =
      user_timeout == 0 ? Wire::kConnectTimeout
                        : Duration(std::chrono::milliseconds(user_timeout));
  return Await(
      socket, "connect", [&] { return TryConnect(socket, host, peer); },
      After(scheduler_.now(), timeout));
}

int64_t NetworkCore::Pause(Socket& socket, Duration span, int64_t then) {
  const MonotonicTime end = After(scheduler_.now(), span);
  wait_on_ = &socket.state;
  const int64_t result = Await(
      socket, "connect", [&] { return scheduler_.now() < end ? -EAGAIN : 1; },
      end);
  return result < 0 ? result : then;
}

IpAddress NetworkCore::SourceFor(uint32_t host, const IpAddress& peer) const {
  if (!peer.IsLoopback()) {
    return peer.IsV4() ? Wire::V4Of(host) : Wire::V6Of(host);
  }
  return peer.IsV4() ? IpAddress::V4(127, 0, 0, 1) : peer;
}

// --- Bytes -----------------------------------------------------------------

int64_t NetworkCore::TryReceive(Socket& socket, iovec* pieces, size_t count,
                                int flags) {
  if (socket.state == Socket::State::kConnecting) {
    wait_on_ = wire_.connecters();
    return -EAGAIN;
  }
  if (socket.state != Socket::State::kConnected) return -ENOTCONN;
  End& end = *socket.end;
  size_t room = 0;
  for (size_t i = 0; i < count; ++i) room += pieces[i].iov_len;
  if (room == 0) return 0;
  if (end.received.empty()) {
    if (end.end_received) return 0;
    if (end.error != 0) return -std::exchange(end.error, 0);
    if (end.read_shut || end.broken) return 0;
    wait_on_ = end.readers();
    return -EAGAIN;
  }
  const size_t size = wire_.Split(std::min(room, end.received.size()));
  size_t done = 0;
  // TCP takes MSG_TRUNC for "throw it away" (tcp(7)).
  for (size_t i = 0; i < count && done < size && (flags & MSG_TRUNC) == 0;
       ++i) {
    const size_t part = std::min(pieces[i].iov_len, size - done);
    std::memcpy(pieces[i].iov_base, end.received.data() + done, part);
    done += part;
  }
  if ((flags & MSG_PEEK) != 0) return static_cast<int64_t>(size);
  end.received.Pop(size);
  // The window opens.
  wire_.Transmit(socket.end.peer());
  return static_cast<int64_t>(size);
}

int64_t NetworkCore::Receive(Socket& socket, iovec* pieces, size_t count,
                             int flags) {
  if ((flags & ~kKnownFlags) != 0) return -EOPNOTSUPP;
  return Await(socket, "recv",
               [&] { return TryReceive(socket, pieces, count, flags); });
}

int64_t NetworkCore::TryTransmit(Socket& socket, const iovec* pieces,
                                 size_t count) {
  if (socket.state == Socket::State::kConnecting) {
    wait_on_ = wire_.connecters();
    return -EAGAIN;
  }
  if (socket.state != Socket::State::kConnected) return -EPIPE;
  End& end = *socket.end;
  if (end.error != 0) return -std::exchange(end.error, 0);
  if (end.write_shut || end.broken) return -EPIPE;
  size_t wanted = 0;
  for (size_t i = 0; i < count; ++i) wanted += pieces[i].iov_len;
  if (wanted == 0) return 0;
  const size_t room = end.SendRoom();
  if (room == 0) {
    wait_on_ = end.writers();
    return -EAGAIN;
  }
  const size_t size = wire_.Split(std::min(room, wanted));
  size_t done = 0;
  for (size_t i = 0; i < count && done < size; ++i) {
    const size_t part = std::min(pieces[i].iov_len, size - done);
    end.unsent.Push(static_cast<const char*>(pieces[i].iov_base), part);
    done += part;
  }
  wire_.Transmit(socket.end);
  return static_cast<int64_t>(size);
}

int64_t NetworkCore::Transmit(Socket& socket, const iovec* pieces, size_t count,
                              int flags) {
  if ((flags & ~kKnownFlags) != 0) return -EOPNOTSUPP;
  return Await(socket, "send",
               [&] { return TryTransmit(socket, pieces, count); });
}

int64_t NetworkCore::PerformOn(Socket& socket, const op::Recv& recv) {
  iovec piece = {.iov_base = recv.data, .iov_len = recv.size};
  return Receive(socket, &piece, 1, recv.flags);
}

int64_t NetworkCore::PerformOn(Socket& socket, const op::Send& send) {
  // Only read.
  const iovec piece = {.iov_base = const_cast<void*>(send.data),
                       .iov_len = send.size};
  return Transmit(socket, &piece, 1, send.flags);
}

int64_t NetworkCore::PerformOn(Socket& socket, const op::RecvMessage& recv) {
  // A stream has no sender's address and no control messages.
  recv.message->msg_namelen = 0;
  recv.message->msg_controllen = 0;
  recv.message->msg_flags = 0;
  return Receive(socket, recv.message->msg_iov, recv.message->msg_iovlen,
                 recv.flags);
}

int64_t NetworkCore::PerformOn(Socket& socket, const op::SendMessage& send) {
  return Transmit(socket, send.message->msg_iov, send.message->msg_iovlen,
                  send.flags);
}

int64_t NetworkCore::PerformOn(Socket& socket, const op::ReadAt& read) {
  if (read.offset != op::kCurrentPosition) return -ESPIPE;
  return PerformOn(
      socket, op::Recv{.fd = read.fd, .data = read.data, .size = read.size});
}

int64_t NetworkCore::PerformOn(Socket& socket, const op::WriteAt& write) {
  if (write.offset != op::kCurrentPosition) return -ESPIPE;
  return PerformOn(
      socket, op::Send{.fd = write.fd, .data = write.data, .size = write.size});
}

int64_t NetworkCore::PerformOn(Socket&, const op::Sync&) { return -EINVAL; }

short NetworkCore::Events(const Socket& socket) const {
  switch (socket.state) {
    case Socket::State::kNew:
      return POLLOUT | POLLHUP;
    case Socket::State::kConnecting:
      return 0;
    case Socket::State::kListening:
      return socket.accept_queue.empty() ? 0 : POLLIN;
    case Socket::State::kConnected:
      break;
  }
  const End& end = *socket.end;
  int events = 0;
  const bool ended = end.end_received || end.read_shut || end.broken;
  if (ended || !end.received.empty()) events |= POLLIN;
  if (ended) events |= POLLRDHUP;
  if (end.SendRoom() > 0 || end.write_shut || end.broken) events |= POLLOUT;
  if (end.broken || (ended && end.write_shut)) events |= POLLHUP;
  if (end.error != 0) events |= POLLERR;
  return static_cast<short>(events);
}

int64_t NetworkCore::PerformOn(Socket& socket, const op::Poll& poll) {
  return Await(socket, "poll", [&]() -> int64_t {
    const int held = Events(socket) & (poll.events | POLLERR | POLLHUP);
    if (held != 0) return held;
    wait_on_ = socket.state == Socket::State::kConnected ? socket.end->pollers()
               : socket.state == Socket::State::kListening ? socket.accepters()
                                                           : wire_.connecters();
    return -EAGAIN;
  });
}

}  // namespace weft::sim
