// What streams and listeners make of each result of the kernel. What kernels
// really answer is the business of conformance/tcp_test.cc.
#include "weft/net/tcp_stream.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <iterator>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "weft/net/tcp_listener.h"
#include "weft/runtime/status.h"
#include "weft/tests/net/scripted_io.h"

namespace weft::net {
namespace {

using absl::StatusCode;

// A stream whose two ends are real, so that options and addresses are.
class TcpStreamTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ScriptedIo io({});
    listener_.emplace(
        TcpListener::Bind(io, SocketAddress::Loopback(0)).value());
    Descriptor client(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    const SocketAddress& address = listener_->local_address();
    // On loopback the handshake is done by the time connect returns.
    (void)connect(client.get(), address.data(), address.size());
    auto adopted = TcpStream::Adopt(std::move(client));
    ASSERT_TRUE(adopted.ok()) << adopted.status();
    stream_.emplace(*std::move(adopted));
    peer_ = listener_->local_address().ToString();
  }

  int Option(int level, int option) {
    int value = -1;
    socklen_t size = sizeof(value);
    EXPECT_EQ(getsockopt(stream_->fd(), level, option, &value, &size), 0);
    return value;
  }

  // As the kernel does when `peer` connects.
  int64_t AnswerAccept(const Operation& operation, const SocketAddress& peer) {
    const auto& accept = std::get<op::Accept>(operation);
    std::memcpy(accept.address, peer.data(), peer.size());
    *accept.address_length = peer.size();
    return dup(stream_->fd());
  }

  std::optional<TcpListener> listener_;
  std::optional<TcpStream> stream_;
  std::string peer_;
};

TEST_F(TcpStreamTest, ReadReturnsWhatCame) {
  ScriptedIo io({3, 0});
  char room[8];
  EXPECT_EQ(stream_->Read(io, room).value(), 3u);
  EXPECT_EQ(stream_->Read(io, room).value(), 0u);
  const auto& recv = std::get<op::Recv>(io.performed()[0]);
  EXPECT_EQ(recv.fd, stream_->fd());
  EXPECT_EQ(recv.data, room);
  EXPECT_EQ(recv.size, 8u);
}

TEST_F(TcpStreamTest, NothingToMoveIsNoOperation) {
  ScriptedIo io({});
  EXPECT_EQ(stream_->Read(io, MutableBytes()).value(), 0u);
  EXPECT_EQ(stream_->Write(io, "").value(), 0u);
  EXPECT_EQ(stream_->ReadVector(io, {}).value(), 0u);
  EXPECT_EQ(stream_->WriteVector(io, {}).value(), 0u);
  const ConstBytes nothing[] = {"", "", ""};
  EXPECT_EQ(stream_->WriteVector(io, nothing).value(), 0u);
  EXPECT_TRUE(stream_->WriteAllVector(io, nothing).ok());
  EXPECT_TRUE(stream_->WriteAll(io, "").ok());
  EXPECT_TRUE(stream_->ReadExactly(io, MutableBytes()).ok());
  EXPECT_TRUE(io.performed().empty());
}

TEST_F(TcpStreamTest, ErrorsNameOperationAndPeer) {
  ScriptedIo io({-ECONNRESET, -EPIPE, -ECANCELED, -ETIME});
  char room[8];
  const absl::Status reset = stream_->Read(io, room).status();
  EXPECT_EQ(reset.code(), StatusCode::kUnavailable);
  EXPECT_EQ(reset.message(),
            absl::StrCat("read ", peer_, ": connection reset by peer"));
  EXPECT_EQ(Errno(reset), ECONNRESET);
  const absl::Status closed = stream_->Write(io, "x").status();
  EXPECT_EQ(closed.message(),
            absl::StrCat("write ", peer_, ": connection closed for writing"));
  EXPECT_EQ(stream_->WriteAll(io, "x").message(),
            absl::StrCat("write ", peer_, ": cancelled"));
  EXPECT_EQ(stream_->ReadExactly(io, room).message(),
            absl::StrCat("read ", peer_, ": deadline exceeded"));
}

TEST_F(TcpStreamTest, ReadExactlyPutsPiecesTogether) {
  ScriptedIo io({1, 4, 3});
  char room[8];
  size_t received = 99;
  EXPECT_TRUE(stream_->ReadExactly(io, room, &received).ok());
  EXPECT_EQ(received, 8u);
  EXPECT_EQ(std::get<op::Recv>(io.performed()[2]).data, room + 5);
  EXPECT_EQ(std::get<op::Recv>(io.performed()[2]).size, 3u);
}

TEST_F(TcpStreamTest, ReadExactlyTellsHowFarItCame) {
  ScriptedIo io({2, 3, 0, 2, -ETIME, 0});
  char room[8];
  size_t received = 0;
  const absl::Status ended = stream_->ReadExactly(io, room, &received);
  EXPECT_EQ(ended.code(), StatusCode::kOutOfRange);
  EXPECT_EQ(ended.message(), absl::StrCat("read ", peer_,
                                          ": end of stream after 5 of 8 "
                                          "bytes"));
  EXPECT_EQ(received, 5u);
  EXPECT_EQ(stream_->ReadExactly(io, room, &received).code(),
            StatusCode::kDeadlineExceeded);
  EXPECT_EQ(received, 2u);
  EXPECT_EQ(stream_->ReadExactly(io, room, &received).code(),
            StatusCode::kOutOfRange);
  EXPECT_EQ(received, 0u);
}

TEST_F(TcpStreamTest, WriteAllGoesOnAfterShortWrites) {
  ScriptedIo io({2, 1, 3});
  const std::string text = "abcdef";
  size_t written = 0;
  EXPECT_TRUE(stream_->WriteAll(io, text, &written).ok());
  EXPECT_EQ(written, 6u);
  EXPECT_EQ(std::get<op::Send>(io.performed()[2]).data, text.data() + 3);
  EXPECT_TRUE(io.done());
}

TEST_F(TcpStreamTest, WriteAllTellsHowFarItCame) {
  ScriptedIo io({2, -EPIPE, 4, -ECANCELED});
  size_t written = 0;
  EXPECT_EQ(Errno(stream_->WriteAll(io, "abcdef", &written)), EPIPE);
  EXPECT_EQ(written, 2u);
  const ConstBytes pieces[] = {"abc", "def"};
  EXPECT_EQ(stream_->WriteAllVector(io, pieces, &written).code(),
            StatusCode::kCancelled);
  EXPECT_EQ(written, 4u);
}

// The bytes that a message names, up to `limit`.
std::string BytesOf(const msghdr& message, size_t limit) {
  std::string bytes;
  for (size_t i = 0; i < message.msg_iovlen; ++i) {
    const iovec& piece = message.msg_iov[i];
    EXPECT_GT(piece.iov_len, 0u);
    bytes.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
  }
  return bytes.substr(0, limit);
}

TEST_F(TcpStreamTest, WriteAllVectorGoesOnAfterShortWritesOfAnyLength) {
  const ConstBytes pieces[] = {"", "a", "bcd", "", "", "ef", "g", ""};
  for (size_t step = 1; step <= 8; ++step) {
    SCOPED_TRACE(step);
    std::string sent;
    ScriptedIo io([&](const Operation& operation) {
      const auto& send = std::get<op::SendMessage>(operation);
      const std::string bytes = BytesOf(*send.message, step);
      sent += bytes;
      return static_cast<int64_t>(bytes.size());
    });
    size_t written = 0;
    EXPECT_TRUE(stream_->WriteAllVector(io, pieces, &written).ok());
    EXPECT_EQ(sent, "abcdefg");
    EXPECT_EQ(written, 7u);
  }
}

TEST_F(TcpStreamTest, WriteAllVectorTakesMorePiecesThanOneCall) {
  std::string expected;
  std::vector<std::string> texts;
  for (int i = 0; i < 3000; ++i) texts.push_back(std::to_string(i));
  std::vector<ConstBytes> pieces;
  for (const std::string& text : texts) {
    pieces.emplace_back(text);
    pieces.emplace_back();
    expected += text;
  }
  std::string sent;
  ScriptedIo io([&](const Operation& operation) {
    const msghdr& message = *std::get<op::SendMessage>(operation).message;
    EXPECT_LE(message.msg_iovlen, TcpStream::kMaxPieces);
    // Ends between pieces and inside of them.
    const std::string bytes = BytesOf(message, 100);
    sent += bytes;
    return static_cast<int64_t>(bytes.size());
  });
  EXPECT_TRUE(stream_->WriteAllVector(io, pieces).ok());
  EXPECT_EQ(sent, expected);
}

TEST_F(TcpStreamTest, VectorsUseTheFirstPiecesThatAreNotEmpty) {
  char room[2 * TcpStream::kMaxPieces];
  std::vector<MutableBytes> into;
  std::vector<ConstBytes> from;
  for (char& byte : room) {
    into.emplace_back();
    into.emplace_back(&byte, 1);
    from.emplace_back();
    from.emplace_back(&byte, 1);
  }
  size_t pieces = 0;
  ScriptedIo counting([&](const Operation& operation) -> int64_t {
    if (const auto* recv = std::get_if<op::RecvMessage>(&operation)) {
      pieces = recv->message->msg_iovlen;
      EXPECT_EQ(recv->message->msg_iov[1].iov_base, room + 1);
    } else {
      pieces = std::get<op::SendMessage>(operation).message->msg_iovlen;
    }
    return 5;
  });
  EXPECT_EQ(stream_->ReadVector(counting, into).value(), 5u);
  EXPECT_EQ(pieces, TcpStream::kMaxPieces);
  EXPECT_EQ(stream_->WriteVector(counting, from).value(), 5u);
  EXPECT_EQ(pieces, TcpStream::kMaxPieces);
}

using TcpStreamDeathTest = TcpStreamTest;

TEST_F(TcpStreamDeathTest, TwoReadersAreMisuse) {
  char room[8];
  ScriptedIo io([&](const Operation&) -> int64_t {
    ScriptedIo other({1});
    (void)stream_->Read(other, room);
    return 1;
  });
  EXPECT_DEATH((void)stream_->ReadExactly(io, room),
               "weft: misuse: two tasks read one TcpStream at the same time");
}

TEST_F(TcpStreamDeathTest, TwoWritersAreMisuse) {
  ScriptedIo io([&](const Operation&) -> int64_t {
    ScriptedIo other({1});
    (void)stream_->Write(other, "x");
    return 1;
  });
  EXPECT_DEATH((void)stream_->WriteAll(io, "x"),
               "weft: misuse: two tasks write one TcpStream at the same time");
}

TEST_F(TcpStreamDeathTest, StreamInUseCannotGoAway) {
  char room[8];
  const auto during_read = [&](auto misuse) {
    ScriptedIo io([&](const Operation&) -> int64_t {
      misuse();
      return 1;
    });
    (void)stream_->Read(io, room);
  };
  EXPECT_DEATH(during_read([&] { stream_.reset(); }),
               "weft: misuse: a stream or listener was destroyed while a task "
               "reads from it; close it first and wait for the task");
  EXPECT_DEATH(during_read([&] { TcpStream moved(*std::move(stream_)); }),
               "was moved while a task reads from it");
  EXPECT_DEATH(during_read([&] { (void)stream_->Release(); }),
               "was released while a task reads from it");
  EXPECT_DEATH(during_read([&] {
                 *stream_ =
                     TcpStream::Adopt(Descriptor(dup(stream_->fd()))).value();
               }),
               "was assigned to while a task reads from it");
  ScriptedIo io([&](const Operation&) -> int64_t {
    stream_.reset();
    return 1;
  });
  EXPECT_DEATH((void)stream_->Write(io, "x"), "while a task writes to it");
  ScriptedIo accepting([&](const Operation&) -> int64_t {
    listener_.reset();
    return -ECANCELED;
  });
  EXPECT_DEATH((void)listener_->Accept(accepting), "while a task uses it");
}

TEST_F(TcpStreamTest, OneReaderBesideOneWriterIsFine) {
  char room[8];
  ScriptedIo io([&](const Operation&) -> int64_t {
    ScriptedIo other({1});
    EXPECT_EQ(stream_->Write(other, "x").value(), 1u);
    return 8;
  });
  EXPECT_TRUE(stream_->ReadExactly(io, room).ok());
  // The end of a read makes room for the next.
  EXPECT_TRUE(stream_->ReadExactly(io, room).ok());
}

TEST_F(TcpStreamTest, OptionsReachTheSocket) {
  EXPECT_TRUE(stream_->SetNoDelay(true).ok());
  EXPECT_EQ(Option(IPPROTO_TCP, TCP_NODELAY), 1);
  EXPECT_TRUE(stream_->SetNoDelay(false).ok());
  EXPECT_EQ(Option(IPPROTO_TCP, TCP_NODELAY), 0);

  const int system_interval = Option(IPPROTO_TCP, TCP_KEEPINTVL);
  EXPECT_TRUE(
      stream_->SetKeepAlive({.idle = std::chrono::minutes(1), .count = 3})
          .ok());
  EXPECT_EQ(Option(SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(Option(IPPROTO_TCP, TCP_KEEPIDLE), 60);
  EXPECT_EQ(Option(IPPROTO_TCP, TCP_KEEPCNT), 3);
  EXPECT_EQ(Option(IPPROTO_TCP, TCP_KEEPINTVL), system_interval);
  EXPECT_TRUE(stream_->SetKeepAlive({.enabled = false}).ok());
  EXPECT_EQ(Option(SOL_SOCKET, SO_KEEPALIVE), 0);

  // The kernel doubles what it is asked for.
  EXPECT_TRUE(stream_->SetSendBuffer(8192).ok());
  EXPECT_EQ(Option(SOL_SOCKET, SO_SNDBUF), 2 * 8192);
  EXPECT_TRUE(stream_->SetReceiveBuffer(8192).ok());
  EXPECT_EQ(Option(SOL_SOCKET, SO_RCVBUF), 2 * 8192);
  EXPECT_TRUE(stream_->SetSendBuffer(SIZE_MAX).ok());
}

TEST_F(TcpStreamTest, OptionsOutOfRangeAreRefused) {
  using std::chrono::seconds;
  const KeepAliveOptions bad[] = {
      {.idle = seconds(-1)},
      {.idle = seconds::max()},
      {.interval = seconds(-1)},
      {.interval = seconds(1 << 20)},
      {.count = -1},
      {.count = 1 << 20},
  };
  for (const KeepAliveOptions& options : bad) {
    EXPECT_EQ(stream_->SetKeepAlive(options).code(),
              StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(
      stream_->SetKeepAlive({.count = -1}).message(),
      absl::StrCat("set keep-alive count of ", peer_, ": invalid argument"));
}

TEST_F(TcpStreamTest, AddressesAreThoseOfTheTwoEnds) {
  EXPECT_EQ(stream_->peer_address(), listener_->local_address());
  const auto local = stream_->local_address();
  ASSERT_TRUE(local.ok()) << local.status();
  EXPECT_TRUE(local->IsLoopback());
  EXPECT_NE(local->port(), stream_->peer_address().port());
}

TEST_F(TcpStreamTest, AdoptedDescriptorBlocksAndClosesOnExec) {
  EXPECT_EQ(fcntl(stream_->fd(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_EQ(fcntl(stream_->fd(), F_GETFD), FD_CLOEXEC);
}

TEST_F(TcpStreamTest, ReleaseGivesTheDescriptorAway) {
  const int fd = stream_->fd();
  Descriptor descriptor = stream_->Release();
  EXPECT_EQ(descriptor.get(), fd);
  EXPECT_EQ(stream_->fd(), -1);
  stream_->Close();
  const auto again = TcpStream::Adopt(std::move(descriptor));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->peer_address().ToString(), peer_);
}

TEST_F(TcpStreamTest, AdoptRefusesOtherDescriptors) {
  EXPECT_EQ(TcpStream::Adopt(Descriptor()).status().message(),
            "adopt descriptor -1: descriptor is not open");

  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  const Descriptor other(ends[1]);
  EXPECT_EQ(TcpStream::Adopt(Descriptor(ends[0])).status().message(),
            absl::StrCat("adopt descriptor ", ends[0], ": not a TCP socket"));
  // It was closed.
  EXPECT_EQ(fcntl(ends[0], F_GETFD), -1);

  Descriptor unconnected(socket(AF_INET, SOCK_STREAM, 0));
  const absl::Status status = TcpStream::Adopt(std::move(unconnected)).status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Errno(status), ENOTCONN);
}

TEST_F(TcpStreamTest, ClosedStreamIsAnError) {
  stream_->Close();
  stream_->Close();
  EXPECT_EQ(stream_->fd(), -1);
  EXPECT_FALSE(stream_->Release().valid());
  const absl::Status status = stream_->Shutdown(ShutdownMode::kBoth);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(),
            absl::StrCat("shut down ", peer_, ": closed by this side"));
  // It stays so wherever it is moved.
  TcpStream moved(*std::move(stream_));
  EXPECT_EQ(Errno(moved.SetNoDelay(true)), ESHUTDOWN);
  EXPECT_EQ(Errno(moved.SetResetOnClose(true)), ESHUTDOWN);
  EXPECT_EQ(Errno(moved.local_address().status()), ESHUTDOWN);
  // NOLINTNEXTLINE(bugprone-use-after-move)
  EXPECT_EQ(Errno(stream_->SetNoDelay(true)), EBADF);
}

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }

TEST_F(TcpStreamTest, NumberIsGivenBackByTheLastCallThatUsesIt) {
  const int fd = stream_->fd();
  char room[8];
  ScriptedIo reading([&](const Operation&) -> int64_t {
    ScriptedIo writing([&](const Operation& send) -> int64_t {
      EXPECT_EQ(std::get<op::Send>(send).fd, fd);
      stream_->Close();
      EXPECT_EQ(stream_->fd(), -1);
      return -EPIPE;
    });
    const absl::Status written = stream_->WriteAll(writing, "x");
    EXPECT_EQ(Errno(written), ESHUTDOWN);
    EXPECT_EQ(written.message(),
              absl::StrCat("write ", peer_, ": closed by this side"));
    // Calls that come now neither get the number nor give it back.
    ScriptedIo late([&](const Operation& send) -> int64_t {
      EXPECT_EQ(std::get<op::Send>(send).fd, -1);
      return -EBADF;
    });
    EXPECT_EQ(Errno(stream_->Write(late, "x").status()), ESHUTDOWN);
    EXPECT_EQ(Errno(stream_->local_address().status()), ESHUTDOWN);
    stream_->Close();
    EXPECT_TRUE(IsOpen(fd));
    return 0;
  });
  EXPECT_EQ(Errno(stream_->Read(reading, room).status()), ESHUTDOWN);
  EXPECT_FALSE(IsOpen(fd));
}

TEST_F(TcpStreamTest, NumberOfAListenerIsGivenBackByTheLastAccept) {
  const int fd = listener_->fd();
  ScriptedIo outer([&](const Operation&) -> int64_t {
    ScriptedIo inner([&](const Operation& accept) -> int64_t {
      EXPECT_EQ(std::get<op::Accept>(accept).fd, fd);
      listener_->Close();
      return -EINVAL;
    });
    EXPECT_EQ(listener_->Accept(inner).status().message(),
              absl::StrCat("accept ", peer_, ": closed by this side"));
    EXPECT_TRUE(IsOpen(fd));
    return -EINVAL;
  });
  EXPECT_EQ(Errno(listener_->Accept(outer).status()), ESHUTDOWN);
  EXPECT_FALSE(IsOpen(fd));
  EXPECT_EQ(listener_->fd(), -1);
}

TEST_F(TcpStreamTest, ConnectionThatMeetsACloseIsNotDropped) {
  const SocketAddress peer = SocketAddress::Loopback(9);
  ScriptedIo io([&](const Operation& operation) -> int64_t {
    listener_->Close();
    return AnswerAccept(operation, peer);
  });
  const auto accepted = listener_->Accept(io);
  ASSERT_TRUE(accepted.ok()) << accepted.status();
  EXPECT_EQ(accepted->peer_address(), peer);
}

TEST_F(TcpStreamTest, BytesThatMoveDuringACloseAreReported) {
  char room[8];
  ScriptedIo reading([&](const Operation& recv) -> int64_t {
    if (std::get<op::Recv>(recv).fd < 0) return -EBADF;
    stream_->Close();
    return 3;
  });
  size_t count = 0;
  EXPECT_EQ(Errno(stream_->ReadExactly(reading, room, &count)), ESHUTDOWN);
  EXPECT_EQ(count, 3u);
  EXPECT_EQ(reading.performed().size(), 2u);
}

TEST_F(TcpStreamTest, BytesThatMoveDuringAShutdownAreReported) {
  ScriptedIo writing([&](const Operation& send) -> int64_t {
    if (std::get<op::SendMessage>(send).fd < 0) return -EBADF;
    EXPECT_TRUE(stream_->Shutdown(ShutdownMode::kWrite).ok());
    return 2;
  });
  const ConstBytes pieces[] = {"abc", "def"};
  size_t count = 0;
  EXPECT_EQ(Errno(stream_->WriteAllVector(writing, pieces, &count)), ESHUTDOWN);
  EXPECT_EQ(count, 2u);
}

TEST_F(TcpStreamTest, ShutdownEndsOneDirectionOnly) {
  char room[8];
  ScriptedIo io([&](const Operation& operation) -> int64_t {
    if (const auto* recv = std::get_if<op::Recv>(&operation)) {
      return recv->fd < 0 ? -EBADF : 0;
    }
    return std::get<op::Send>(operation).fd < 0 ? -EBADF : 1;
  });
  EXPECT_EQ(stream_->Read(io, room).value(), 0u);
  EXPECT_TRUE(stream_->Shutdown(ShutdownMode::kRead).ok());
  EXPECT_EQ(Errno(stream_->Read(io, room).status()), ESHUTDOWN);
  EXPECT_TRUE(stream_->Write(io, "x").ok());
  EXPECT_TRUE(stream_->Shutdown(ShutdownMode::kWrite).ok());
  EXPECT_EQ(Errno(stream_->Write(io, "x").status()), ESHUTDOWN);
  EXPECT_TRUE(stream_->SetNoDelay(true).ok());
}

// What ended the task matters more than what it was at.
TEST_F(TcpStreamTest, CancelsAndDeadlinesAreReportedInSpiteOfAClose) {
  for (const int error : {ECANCELED, ETIME}) {
    ScriptedIo io([&](const Operation&) -> int64_t {
      stream_->Close();
      return -error;
    });
    char room[8];
    EXPECT_EQ(Errno(stream_->Read(io, room).status()), error);
    EXPECT_EQ(Errno(stream_->Write(io, "x").status()), error);
  }
}

TEST_F(TcpStreamTest, AcceptPassesOverConnectionsThatBroke) {
  const int64_t broken[] = {ECONNABORTED, ENETDOWN,   EPROTO,
                            ENOPROTOOPT,  EHOSTDOWN,  ENONET,
                            EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH};
  size_t next = 0;
  const SocketAddress peer = SocketAddress::Loopback(9);
  ScriptedIo io([&](const Operation& operation) -> int64_t {
    if (next < std::size(broken)) return -broken[next++];
    return AnswerAccept(operation, peer);
  });
  const auto accepted = listener_->Accept(io);
  ASSERT_TRUE(accepted.ok()) << accepted.status();
  EXPECT_EQ(accepted->peer_address(), peer);
  EXPECT_EQ(io.performed().size(), std::size(broken) + 1);
}

TEST_F(TcpStreamTest, AcceptReportsWhatConcernsTheListener) {
  for (const int error : {EMFILE, ENFILE, ENOBUFS, ENOMEM}) {
    ScriptedIo io({-error});
    const absl::Status status = listener_->Accept(io).status();
    EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
    EXPECT_EQ(Errno(status), error);
  }
  for (const int error : {EBADF, EINVAL, EPERM, ECANCELED, ETIME}) {
    ScriptedIo io({-error});
    EXPECT_EQ(Errno(listener_->Accept(io).status()), error);
  }
  ScriptedIo io({-EMFILE});
  EXPECT_EQ(
      listener_->Accept(io).status().message(),
      absl::StrCat("accept ", peer_, ": too many open files in this process"));
}

TEST_F(TcpStreamTest, RefusedConnectClosesItsDescriptor) {
  int fd = -1;
  ScriptedIo io([&](const Operation& operation) -> int64_t {
    fd = std::get<op::Connect>(operation).fd;
    EXPECT_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    return -ECONNREFUSED;
  });
  const absl::Status status =
      TcpStream::Connect(io, SocketAddress::Loopback(9)).status();
  EXPECT_EQ(status.message(), "connect 127.0.0.1:9: connection refused");
  EXPECT_EQ(fcntl(fd, F_GETFD), -1);
}

TEST_F(TcpStreamTest, LocalAddressIsBoundBeforeConnecting) {
  const SocketAddress local = SocketAddress::Parse("127.0.0.77:0").value();
  ScriptedIo io([&](const Operation& operation) -> int64_t {
    sockaddr_in bound{};
    socklen_t size = sizeof(bound);
    EXPECT_EQ(getsockname(std::get<op::Connect>(operation).fd,
                          reinterpret_cast<sockaddr*>(&bound), &size),
              0);
    EXPECT_EQ(bound.sin_addr.s_addr, htonl(0x7f00004d));
    return 0;
  });
  EXPECT_TRUE(TcpStream::Connect(io, SocketAddress::Loopback(9),
                                 {.local_address = local})
                  .ok());
  const absl::Status status =
      TcpStream::Connect(io, SocketAddress::Loopback(9),
                         {.local_address = listener_->local_address()})
          .status();
  EXPECT_EQ(status.code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(status.message(), absl::StrCat("connect 127.0.0.1:9 from ", peer_,
                                           ": address already in use"));
}

}  // namespace
}  // namespace weft::net
