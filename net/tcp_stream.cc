#include "weft/net/tcp_stream.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <climits>
#include <string>

#include "absl/strings/str_cat.h"
#include "weft/net/internal/socket.h"
#include "weft/runtime/internal/sockets.h"
#include "weft/runtime/operation.h"
#include "weft/runtime/status.h"

namespace weft::net {
namespace {

using weft::internal::ResultStatus;
using weft::internal::SocketsOf;

using internal::SharedSocket;
using Turn = SharedSocket::Turn;

// A place for a count: the caller's, if there is one.
class Count {
 public:
  explicit Count(size_t* place) : place_(place != nullptr ? place : &own_) {
    *place_ = 0;
  }
  Count(const Count&) = delete;
  Count& operator=(const Count&) = delete;

  void Add(int64_t count) { *place_ += static_cast<size_t>(count); }
  size_t get() const { return *place_; }

 private:
  size_t own_ = 0;
  size_t* place_;
};

// What is left of a list of pieces while it is read into or written from.
template <class Bytes>
class Remainder {
 public:
  explicit Remainder(std::span<const Bytes> pieces) : pieces_(pieces) {
    SkipUsedUp();
  }

  bool empty() const { return pieces_.empty(); }

  // Points `message` at the next pieces.
  void Describe(msghdr& message) {
    size_t used = 0;
    size_t skip = skip_;
    for (const Bytes& piece : pieces_) {
      if (used == vector_.size()) break;
      const Bytes rest = piece.Skip(skip);
      skip = 0;
      if (rest.empty()) continue;
      // The kernel only reads what a SendMessage points at.
      vector_[used++] = {
          .iov_base = const_cast<void*>(static_cast<const void*>(rest.data())),
          .iov_len = rest.size()};
    }
    message.msg_iov = vector_.data();
    message.msg_iovlen = used;
  }

  // The first `count` bytes are done.
  void Advance(size_t count) {
    skip_ += count;
    SkipUsedUp();
  }

 private:
  void SkipUsedUp() {
    while (!pieces_.empty() && skip_ >= pieces_.front().size()) {
      skip_ -= pieces_.front().size();
      pieces_ = pieces_.subspan(1);
    }
  }

  std::span<const Bytes> pieces_;
  size_t skip_ = 0;  // into the first piece
  std::array<iovec, TcpStream::kMaxPieces> vector_;
};

// One send of bytes that are not none; as Io::Perform.
int64_t Send(Io& io, const Turn& turn, ConstBytes bytes) {
  return turn.Outcome(io.Perform(
      op::Send{.fd = turn.fd(), .data = bytes.data(), .size = bytes.size()}));
}

int64_t Send(Io& io, const Turn& turn, Remainder<ConstBytes>& rest) {
  msghdr message{};
  rest.Describe(message);
  return turn.Outcome(
      io.Perform(op::SendMessage{.fd = turn.fd(), .message = &message}));
}

int64_t BlockAndCloseOnExec(int fd) {
  weft::internal::Sockets& sockets = SocketsOf(fd);
  const int64_t flags = sockets.Control(fd, F_GETFL, 0);
  if (flags < 0) return flags;
  const int64_t result =
      sockets.Control(fd, F_SETFL, static_cast<int>(flags) & ~O_NONBLOCK);
  return result < 0 ? result : sockets.Control(fd, F_SETFD, FD_CLOEXEC);
}

}  // namespace

absl::StatusOr<TcpStream> TcpStream::Connect(Io& io, const SocketAddress& peer,
                                             const ConnectOptions& options) {
  const int64_t opened = internal::OpenTcp(peer.family(), 0);
  if (opened < 0) return internal::CallStatus("connect", peer, opened);
  TcpStream stream(Descriptor(static_cast<int>(opened)), peer);
  if (options.local_address.has_value()) {
    const SocketAddress& local = *options.local_address;
    // Lets connect choose the port: bind would need one that is free towards
    // every peer.
    const int64_t deferred = internal::SetOption(stream.fd(), IPPROTO_IP,
                                                 IP_BIND_ADDRESS_NO_PORT, 1);
    if (deferred < 0) return stream.Error("connect", deferred);
    const int64_t bound = internal::Bind(stream.fd(), local);
    if (bound < 0) {
      return ResultStatus(bound, absl::StrCat("connect ", peer.ToString(),
                                              " from ", local.ToString()));
    }
  }
  const int64_t result =
      io.Perform(op::Connect{.fd = stream.fd(),
                             .address = stream.peer_.data(),
                             .address_length = stream.peer_.size()});
  if (result < 0) return stream.Error("connect", result);
  return stream;
}

absl::StatusOr<TcpStream> TcpStream::Adopt(Descriptor descriptor) {
  const int fd = descriptor.get();
  const std::string what = absl::StrCat("adopt descriptor ", fd);
  int protocol = 0;
  SocketAddress peer;
  int64_t result = internal::GetOption(fd, SOL_SOCKET, SO_PROTOCOL, protocol);
  if (result == 0 && protocol != IPPROTO_TCP) {
    return absl::InvalidArgumentError(absl::StrCat(what, ": not a TCP socket"));
  }
  if (result == 0) result = internal::PeerAddress(fd, peer);
  if (result < 0) return ResultStatus(result, what);
  result = BlockAndCloseOnExec(fd);
  if (result < 0) return ResultStatus(result, what);
  return TcpStream(std::move(descriptor), peer);
}

int64_t TcpStream::Receive(Io& io, const Turn& turn, MutableBytes room) {
  const int64_t count = io.Perform(op::Recv{.fd = turn.fd(),
                                            .data = room.data(),
                                            .size = room.size(),
                                            .probably_empty = drained_});
  drained_ = count >= 0 && static_cast<size_t>(count) < room.size();
  return turn.Outcome(count);
}

absl::StatusOr<size_t> TcpStream::Read(Io& io, MutableBytes room) {
  if (room.empty()) return size_t{0};
  const Turn turn(socket_, SharedSocket::kRead);
  const int64_t count = Receive(io, turn, room);
  if (count < 0) return Error("read", count);
  return static_cast<size_t>(count);
}

absl::StatusOr<size_t> TcpStream::Write(Io& io, ConstBytes bytes) {
  if (bytes.empty()) return size_t{0};
  const Turn turn(socket_, SharedSocket::kWrite);
  const int64_t count = Send(io, turn, bytes);
  if (count < 0) return Error("write", count);
  return static_cast<size_t>(count);
}

absl::Status TcpStream::ReadExactly(Io& io, MutableBytes room,
                                    size_t* received) {
  Count done(received);
  const Turn turn(socket_, SharedSocket::kRead);
  while (done.get() < room.size()) {
    const MutableBytes rest = room.Skip(done.get());
    const int64_t count = Receive(io, turn, rest);
    if (count < 0) return Error("read", count);
    if (count == 0) {
      return absl::OutOfRangeError(
          absl::StrCat("read ", peer_.ToString(), ": end of stream after ",
                       done.get(), " of ", room.size(), " bytes"));
    }
    done.Add(count);
  }
  return absl::OkStatus();
}

absl::Status TcpStream::WriteAll(Io& io, ConstBytes bytes, size_t* written) {
  Count done(written);
  const Turn turn(socket_, SharedSocket::kWrite);
  while (done.get() < bytes.size()) {
    const int64_t count = Send(io, turn, bytes.Skip(done.get()));
    if (count < 0) return Error("write", count);
    done.Add(count);
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> TcpStream::ReadVector(
    Io& io, std::span<const MutableBytes> pieces) {
  Remainder rest(pieces);
  if (rest.empty()) return size_t{0};
  const Turn turn(socket_, SharedSocket::kRead);
  msghdr message{};
  rest.Describe(message);
  const int64_t count = turn.Outcome(
      io.Perform(op::RecvMessage{.fd = turn.fd(), .message = &message}));
  if (count < 0) return Error("read", count);
  return static_cast<size_t>(count);
}

absl::StatusOr<size_t> TcpStream::WriteVector(
    Io& io, std::span<const ConstBytes> pieces) {
  Remainder rest(pieces);
  if (rest.empty()) return size_t{0};
  const Turn turn(socket_, SharedSocket::kWrite);
  const int64_t count = Send(io, turn, rest);
  if (count < 0) return Error("write", count);
  return static_cast<size_t>(count);
}

absl::Status TcpStream::WriteAllVector(Io& io,
                                       std::span<const ConstBytes> pieces,
                                       size_t* written) {
  Count done(written);
  const Turn turn(socket_, SharedSocket::kWrite);
  Remainder rest(pieces);
  while (!rest.empty()) {
    const int64_t count = Send(io, turn, rest);
    if (count < 0) return Error("write", count);
    done.Add(count);
    rest.Advance(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

absl::Status TcpStream::Shutdown(ShutdownMode mode) {
  const int how = mode == ShutdownMode::kRead    ? SHUT_RD
                  : mode == ShutdownMode::kWrite ? SHUT_WR
                                                 : SHUT_RDWR;
  const int64_t result = socket_.Shutdown(how);
  if (result == 0) return absl::OkStatus();
  return Error("shut down", result);
}

absl::Status TcpStream::SetNoDelay(bool on) {
  return SetOption(IPPROTO_TCP, TCP_NODELAY, on ? 1 : 0, "no delay");
}

absl::Status TcpStream::SetKeepAlive(const KeepAliveOptions& options) {
  struct Row {
    int64_t value;
    int option;
    const char* name;
  };
  const Row rows[] = {
      {options.idle.count(), TCP_KEEPIDLE, "keep-alive idle time"},
      {options.interval.count(), TCP_KEEPINTVL, "keep-alive interval"},
      {options.count, TCP_KEEPCNT, "keep-alive count"},
  };
  for (const Row& row : rows) {
    if (row.value == 0) continue;
    // The kernel's own limits are narrower than int.
    const int value = row.value > INT_MAX || row.value < 0
                          ? INT_MAX
                          : static_cast<int>(row.value);
    absl::Status status = SetOption(IPPROTO_TCP, row.option, value, row.name);
    if (!status.ok()) return status;
  }
  return SetOption(SOL_SOCKET, SO_KEEPALIVE, options.enabled ? 1 : 0,
                   "keep-alive");
}

absl::Status TcpStream::SetSendBuffer(size_t size) {
  return SetBuffer(SO_SNDBUF, size, "send buffer");
}

absl::Status TcpStream::SetReceiveBuffer(size_t size) {
  return SetBuffer(SO_RCVBUF, size, "receive buffer");
}

absl::Status TcpStream::SetResetOnClose(bool on) {
  const linger value{.l_onoff = on ? 1 : 0, .l_linger = 0};
  const Turn turn(socket_, SharedSocket::kOther);
  const int fd = turn.fd();
  const int64_t result =
      turn.Outcome(SocketsOf(fd).SetOption(fd, {.level = SOL_SOCKET,
                                                .name = SO_LINGER,
                                                .value = &value,
                                                .size = sizeof(value)}));
  if (result == 0) return absl::OkStatus();
  return Error("set reset on close of", result);
}

absl::StatusOr<SocketAddress> TcpStream::local_address() const {
  const Turn turn(socket_, SharedSocket::kOther);
  SocketAddress address;
  const int64_t result =
      turn.Outcome(internal::LocalAddress(turn.fd(), address));
  if (result < 0) return Error("local address of", result);
  return address;
}

absl::Status TcpStream::Error(const char* call, int64_t result) const {
  return internal::CallStatus(call, peer_, result);
}

absl::Status TcpStream::SetOption(int level, int option, int value,
                                  const char* name) {
  const Turn turn(socket_, SharedSocket::kOther);
  const int64_t result =
      turn.Outcome(internal::SetOption(turn.fd(), level, option, value));
  if (result == 0) return absl::OkStatus();
  return Error(absl::StrCat("set ", name, " of").c_str(), result);
}

absl::Status TcpStream::SetBuffer(int option, size_t size, const char* name) {
  // The kernel cuts larger values down to its limit.
  const int value = size > INT_MAX ? INT_MAX : static_cast<int>(size);
  return SetOption(SOL_SOCKET, option, value, name);
}

}  // namespace weft::net
