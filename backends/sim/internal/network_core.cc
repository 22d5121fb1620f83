#include "weft/backends/sim/internal/network_core.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "weft/backends/sim/internal/scheduler.h"
#include "weft/runtime/internal/current.h"
#include "weft/runtime/task.h"

namespace weft::sim {
namespace {

using internal::kFirstSimulated;

// As Linux gives out; the limits of net.core.{w,r}mem_max, and the least
// values of tcp(7).
constexpr uint16_t kFirstEphemeral = 32768;
constexpr uint16_t kLastEphemeral = 60999;
constexpr size_t kMostBacklog = 4096;
constexpr int kMostBuffer = 212'992;
constexpr int kLeastSendBuffer = 4608;
constexpr int kLeastReceiveBuffer = 2304;
// Smaller than Linux's, so that writers meet a full buffer sooner.
constexpr size_t kBuffer = size_t{256} << 10;
constexpr size_t kDescriptors = size_t{1} << 20;

// Whether sockets with these addresses of one host could get the same
// connection. An IPv6 wildcard takes IPv4 connections, too, unless it says
// that it does not.
bool Overlap(const Socket& a, const IpAddress& ip_of_a, const Socket& b,
             const IpAddress& ip_of_b) {
  const auto covers = [](const Socket& any, const IpAddress& wildcard,
                         const IpAddress& ip) {
    if (!wildcard.IsAny()) return false;
    if (wildcard.IsV4()) return ip.IsV4();
    return !ip.IsV4() || any.Option(IPPROTO_IPV6, IPV6_V6ONLY) == 0;
  };
  return ip_of_a == ip_of_b || covers(a, ip_of_a, ip_of_b) ||
         covers(b, ip_of_b, ip_of_a);
}

}  // namespace

int Socket::Option(int level, int name) const {
  const auto found = options.find({level, name});
  int value = 0;
  if (found != options.end() && found->second.size() == sizeof(value)) {
    std::memcpy(&value, found->second.data(), sizeof(value));
  }
  return value;
}

void NetworkCore::Begin(uint64_t seed) {
  wire_.Begin(seed);
  sockets_.clear();
  open_ = 0;
  descriptor_limit_ = kDescriptors;
  next_port_ = kFirstEphemeral;
}

std::string NetworkCore::Leftovers() const {
  std::string text;
  for (size_t i = 0; i < sockets_.size(); ++i) {
    if (sockets_[i] == nullptr) continue;
    const int fd = kFirstSimulated + static_cast<int>(i);
    absl::StrAppend(&text, text.empty() ? "" : "\n", "descriptor ", fd, ", ",
                    Describe(fd), ", was not closed");
  }
  return text;
}

std::string NetworkCore::Describe(int fd) const {
  const SocketPointer socket = Find(fd);
  if (socket == nullptr) return "not open";
  const std::string local = socket->local.ToString();
  switch (socket->state) {
    case Socket::State::kNew:
      return socket->bound ? absl::StrCat("a socket bound to ", local)
                           : "a new socket";
    case Socket::State::kListening:
      return absl::StrCat("a listener on ", local);
    case Socket::State::kConnecting:
      return "a socket that connects";
    case Socket::State::kConnected:
      return absl::StrCat("a connection of ", local, " with ",
                          socket->end->peer.ToString());
  }
  return "";
}

// --- The table -------------------------------------------------------------

void NetworkCore::ReachPoint() {
  if (scheduler_.running() == nullptr) return;
  scheduler_.Reach(PointKind::kOperation, nullptr);
}

int NetworkCore::Fault(const char* call) {
  return scheduler_.running() == nullptr ? 0 : scheduler_.FaultAt(call);
}

uint32_t NetworkCore::CurrentHost() const {
  const Fiber* fiber = scheduler_.running();
  return fiber == nullptr ? 0 : fiber->host;
}

NetworkCore::SocketPointer NetworkCore::Find(int fd) const {
  if (fd < kFirstSimulated) return nullptr;
  const auto index = static_cast<size_t>(fd - kFirstSimulated);
  return index < sockets_.size() ? sockets_[index] : nullptr;
}

int64_t NetworkCore::Install(SocketPointer socket) {
  size_t used = 0;
  for (const SocketPointer& other : sockets_) {
    if (other != nullptr && other->host == socket->host) ++used;
  }
  if (used >= descriptor_limit_) return -EMFILE;
  auto free = std::find(sockets_.begin(), sockets_.end(), nullptr);
  if (free == sockets_.end()) free = sockets_.insert(free, nullptr);
  *free = std::move(socket);
  ++open_;
  return kFirstSimulated + (free - sockets_.begin());
}

int64_t NetworkCore::Open(const internal::SocketKind& kind) {
  if (kind.family != AF_INET && kind.family != AF_INET6) return -EAFNOSUPPORT;
  const int flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
  if ((kind.type & ~flags) != SOCK_STREAM) return -ESOCKTNOSUPPORT;
  if (kind.protocol != 0 && kind.protocol != IPPROTO_TCP) {
    return -EPROTONOSUPPORT;
  }
  const uint32_t host = CurrentHost();
  if (!wire_.host(host).up) return -ENETDOWN;
  if (const int error = Fault("socket"); error != 0) return -error;
  auto socket = std::make_shared<Socket>();
  socket->host = host;
  socket->family = kind.family;
  socket->status_flags =
      O_RDWR | ((kind.type & SOCK_NONBLOCK) != 0 ? O_NONBLOCK : 0);
  socket->descriptor_flags = (kind.type & SOCK_CLOEXEC) != 0 ? FD_CLOEXEC : 0;
  socket->local.ip =
      kind.family == AF_INET ? IpAddress::V4(0, 0, 0, 0) : IpAddress();
  socket->send_limit = socket->receive_limit = kBuffer;
  return Install(std::move(socket));
}

int64_t NetworkCore::Close(int fd) {
  ReachPoint();
  const SocketPointer socket = Find(fd);
  if (socket == nullptr) return -EBADF;
  sockets_[static_cast<size_t>(fd - kFirstSimulated)] = nullptr;
  --open_;
  socket->closed = true;
  // As in the kernel, a call that is in it keeps it alive.
  if (socket->users == 0) Release(*socket);
  return 0;
}

void NetworkCore::Release(Socket& socket) {
  if (socket.dead) return;
  if (socket.state == Socket::State::kListening) StopListening(socket);
  if (socket.state != Socket::State::kConnected) return;
  const EndPointer end = socket.end;
  linger lingering{};
  if (const auto found = socket.options.find({SOL_SOCKET, SO_LINGER});
      found != socket.options.end()) {
    std::memcpy(&lingering, found->second.data(),
                std::min(sizeof(lingering), found->second.size()));
  }
  // RFC 2525, 2.17: who closes without reading everything resets.
  const bool reset = !end->received.empty() ||
                     (lingering.l_onoff != 0 && lingering.l_linger == 0);
  if (reset && !end->finished()) wire_.Reset(end);
  end->gone = true;
  end->received.Clear();
  end->write_shut = end->end_wanted = true;
  wire_.Transmit(end);
}

void NetworkCore::StopListening(Socket& socket) {
  socket.state = Socket::State::kNew;
  for (const EndPointer& end : socket.accept_queue) {
    wire_.Reset(end);
    end->gone = true;
  }
  socket.accept_queue.clear();
  wire_.Wake(socket.accepters());
  wire_.WakeConnecters();
}

void NetworkCore::Kill(uint32_t host) {
  wire_.host(host).up = false;
  wire_.Forget(host);
  for (const SocketPointer& socket : sockets_) {
    if (socket == nullptr || socket->host != host) continue;
    socket->dead = true;
    wire_.Wake(socket->accepters());
    socket->accept_queue.clear();
    socket->state = Socket::State::kNew;
    if (socket->end) wire_.WakeAll(*socket->end);
  }
  wire_.WakeConnecters();
  for (size_t i = 0; i < scheduler_.fibers().size(); ++i) {
    const Fiber* fiber = scheduler_.fibers()[i];
    if (fiber != nullptr && fiber->host == host) fiber->task.RequestCancel();
  }
}

// --- Addresses -------------------------------------------------------------

bool NetworkCore::Conflicts(const Socket& socket,
                            const NetworkAddress& address) const {
  const auto both = [&](const Socket& other, int option) {
    return socket.Option(SOL_SOCKET, option) != 0 &&
           other.Option(SOL_SOCKET, option) != 0;
  };
  return std::any_of(
      sockets_.begin(), sockets_.end(), [&](const SocketPointer& other) {
        if (other == nullptr || other.get() == &socket || other->dead ||
            other->host != socket.host || !other->bound ||
            other->local.port != address.port ||
            !Overlap(socket, address.ip, *other, other->local.ip)) {
          return false;
        }
        if (both(*other, SO_REUSEPORT)) return false;
        return !both(*other, SO_REUSEADDR) ||
               other->state == Socket::State::kListening;
      });
}

uint16_t NetworkCore::FreePort(const Socket& socket, const IpAddress& ip) {
  constexpr int kPorts = kLastEphemeral - kFirstEphemeral + 1;
  for (int tries = 0; tries < kPorts; ++tries) {
    const uint16_t port = next_port_;
    next_port_ = port == kLastEphemeral ? kFirstEphemeral
                                        : static_cast<uint16_t>(port + 1);
    // Not even one that could be shared.
    const bool used = std::any_of(
        sockets_.begin(), sockets_.end(), [&](const SocketPointer& other) {
          return other != nullptr && other->host == socket.host &&
                 other->bound && other->local.port == port;
        });
    if (!used && !Conflicts(socket, {.ip = ip, .port = port})) return port;
  }
  return 0;
}

int64_t NetworkCore::Bind(int fd, const sockaddr* address, socklen_t size) {
  ReachPoint();
  const SocketPointer socket = Find(fd);
  if (socket == nullptr) return -EBADF;
  if (socket->dead) return -ENETDOWN;
  if (const int error = Fault("bind"); error != 0) return -error;
  NetworkAddress wanted;
  if (const int64_t result =
          NetworkAddress::Read(socket->family, address, size, wanted);
      result < 0) {
    return result;
  }
  if (socket->bound || socket->state != Socket::State::kNew) return -EINVAL;
  if (!wanted.ip.IsAny() && !wire_.Owns(socket->host, wanted.ip)) {
    return -EADDRNOTAVAIL;
  }
  const bool later = wanted.port == 0 &&
                     socket->Option(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT) != 0;
  if (wanted.port == 0 && !later) {
    wanted.port = FreePort(*socket, wanted.ip);
    if (wanted.port == 0) return -EADDRINUSE;
  } else if (!later && Conflicts(*socket, wanted)) {
    return -EADDRINUSE;
  }
  socket->local = wanted;
  socket->bound = true;
  return 0;
}

int64_t NetworkCore::Listen(int fd, int backlog) {
  ReachPoint();
  const SocketPointer socket = Find(fd);
  if (socket == nullptr) return -EBADF;
  if (socket->dead) return -ENETDOWN;
  if (const int error = Fault("listen"); error != 0) return -error;
  if (socket->state == Socket::State::kConnecting ||
      socket->state == Socket::State::kConnected) {
    return -EINVAL;
  }
  if (socket->local.port == 0) {
    socket->local.port = FreePort(*socket, socket->local.ip);
    socket->bound = true;
  }
  if (socket->state == Socket::State::kNew &&
      Conflicts(*socket, socket->local)) {
    return -EADDRINUSE;
  }
  // Linux takes it for an unsigned number.
  socket->backlog = std::min(
      static_cast<size_t>(static_cast<unsigned>(backlog)), kMostBacklog);
  socket->state = Socket::State::kListening;
  wire_.WakeConnecters();
  return 0;
}

Socket* NetworkCore::ListenerAt(uint32_t host, const NetworkAddress& address) {
  // The most particular address wins; among equals, which may only be there
  // with SO_REUSEPORT, any.
  std::vector<Socket*> best;
  int best_rank = 0;
  for (const SocketPointer& socket : sockets_) {
    if (socket == nullptr || socket->state != Socket::State::kListening ||
        socket->host != host || socket->local.port != address.port) {
      continue;
    }
    const IpAddress& ip = socket->local.ip;
    int rank = 0;
    if (ip == address.ip) {
      rank = 3;
    } else if (ip.IsAny() && ip.IsV4() == address.ip.IsV4()) {
      rank = 2;
    } else if (ip.IsAny() && !ip.IsV4() &&
               socket->Option(IPPROTO_IPV6, IPV6_V6ONLY) == 0) {
      rank = 1;
    }
    if (rank == 0 || rank < best_rank) continue;
    if (rank > best_rank) best.clear();
    best_rank = rank;
    best.push_back(socket.get());
  }
  if (best.empty()) return nullptr;
  return best[wire_.Draw(static_cast<uint32_t>(best.size()))];
}

int64_t NetworkCore::LocalAddress(int fd, sockaddr* address, socklen_t* size) {
  const SocketPointer socket = Find(fd);
  if (socket == nullptr) return -EBADF;
  socket->local.Write(socket->family, address, size);
  return 0;
}

int64_t NetworkCore::PeerAddress(int fd, sockaddr* address, socklen_t* size) {
  const SocketPointer socket = Find(fd);
  if (socket == nullptr) return -EBADF;
  if (socket->state != Socket::State::kConnected || socket->end->broken ||
      socket->end->finished()) {
    return -ENOTCONN;
  }
  socket->end->peer.Write(socket->family, address, size);
  return 0;
}

// --- Other calls -----------------------------------------------------------

int64_t NetworkCore::Shutdown(int fd, int how) {
  ReachPoint();
  const SocketPointer socket = Find(fd);
  if (socket == nullptr) return -EBADF;
  if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR) return -EINVAL;
  if (socket->dead) return -ENETDOWN;
  if (socket->state == Socket::State::kListening) {
    if (how != SHUT_WR) StopListening(*socket);
    return 0;
  }
  if (socket->state == Socket::State::kConnecting) {
    // As tcp_disconnect in SYN_SENT.
    socket->state = Socket::State::kNew;
    socket->error = ECONNRESET;
    wire_.WakeConnecters();
    return 0;
  }
  if (socket->state != Socket::State::kConnected) return -ENOTCONN;
  const EndPointer end = socket->end;
  // Shutting down fails where a reset came before.
  if (Fault("shutdown") != 0) wire_.Reset(end);
  const bool connected = !end->broken && !end->finished();
  if (how != SHUT_WR) end->read_shut = true;
  if (how != SHUT_RD) end->write_shut = end->end_wanted = true;
  wire_.WakeAll(*end);
  wire_.Transmit(end);
  return connected ? 0 : -ENOTCONN;
}

int64_t NetworkCore::SetOption(int fd, const internal::SocketOption& option) {
  const SocketPointer socket = Find(fd);
  if (socket == nullptr) return -EBADF;
  int value = 0;
  if (option.size < sizeof(value)) return -EINVAL;
  std::memcpy(&value, option.value, sizeof(value));
  if (const int64_t result = SetSpecialOption(*socket, option, value);
      result != 0) {
    return result < 0 ? result : 0;
  }
  socket->options[{option.level, option.name}] =
      std::string(static_cast<const char*>(option.value), option.size);
  return 0;
}

// 1 if it was set, 0 if it has only to be remembered.
int64_t NetworkCore::SetSpecialOption(Socket& socket,
                                      const internal::SocketOption& option,
                                      int value) {
  if (option.level == SOL_SOCKET && option.name == SO_SNDBUF) {
    socket.send_limit = 2 * static_cast<size_t>(std::clamp(
                                value, kLeastSendBuffer / 2, kMostBuffer));
    if (socket.end) socket.end->send_limit = socket.send_limit;
    return 1;
  }
  if (option.level == SOL_SOCKET && option.name == SO_RCVBUF) {
    socket.receive_limit =
        2 * static_cast<size_t>(
                std::clamp(value, kLeastReceiveBuffer / 2, kMostBuffer));
    if (socket.end) socket.end->receive_limit = socket.receive_limit;
    return 1;
  }
  if (option.level != IPPROTO_TCP) return 0;
  constexpr int kMostSeconds = 32767;
  constexpr int kMostProbes = 127;
  switch (option.name) {
    case TCP_KEEPIDLE:
    case TCP_KEEPINTVL:
      return value < 1 || value > kMostSeconds ? -EINVAL : 0;
    case TCP_KEEPCNT:
      return value < 1 || value > kMostProbes ? -EINVAL : 0;
    case TCP_USER_TIMEOUT:
      if (value < 0) return -EINVAL;
      if (socket.end) {
        socket.end->user_timeout = std::chrono::milliseconds(value);
        wire_.Watch(socket.end);
      }
      return 0;
    default:
      return 0;
  }
}

int64_t NetworkCore::GetOption(int fd, internal::SocketOptionRoom& option) {
  const SocketPointer socket = Find(fd);
  if (socket == nullptr) return -EBADF;
  const auto give = [&option](const void* from, size_t size) -> int64_t {
    const size_t copied = std::min<size_t>(option.size, size);
    std::memcpy(option.value, from, copied);
    option.size = static_cast<socklen_t>(copied);
    return 0;
  };
  int value = 0;
  if (option.level == SOL_SOCKET) {
    switch (option.name) {
      case SO_PROTOCOL:
        value = IPPROTO_TCP;
        return give(&value, sizeof(value));
      case SO_TYPE:
        value = SOCK_STREAM;
        return give(&value, sizeof(value));
      case SO_DOMAIN:
        return give(&socket->family, sizeof(socket->family));
      case SO_ACCEPTCONN:
        value = socket->state == Socket::State::kListening ? 1 : 0;
        return give(&value, sizeof(value));
      case SO_SNDBUF:
        value = static_cast<int>(socket->send_limit);
        return give(&value, sizeof(value));
      case SO_RCVBUF:
        value = static_cast<int>(socket->receive_limit);
        return give(&value, sizeof(value));
      case SO_ERROR:
        value =
            std::exchange(socket->end ? socket->end->error : socket->error, 0);
        return give(&value, sizeof(value));
      default:
        break;
    }
  }
  const auto found = socket->options.find({option.level, option.name});
  if (found == socket->options.end()) return give(&value, sizeof(value));
  return give(found->second.data(), found->second.size());
}

int64_t NetworkCore::Control(int fd, int command, int argument) {
  const SocketPointer socket = Find(fd);
  if (socket == nullptr) return -EBADF;
  switch (command) {
    case F_GETFL:
      return socket->status_flags;
    case F_SETFL:
      // The access mode does not change.
      socket->status_flags = O_RDWR | (argument & ~O_ACCMODE);
      return 0;
    case F_GETFD:
      return socket->descriptor_flags;
    case F_SETFD:
      socket->descriptor_flags = argument;
      return 0;
    default:
      return -EINVAL;
  }
}

}  // namespace weft::sim
