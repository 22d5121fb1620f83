// Every error of TCP that loopback can provoke, on every backend. The tests are
// named in docs/errors.md; errors_doc_test.py compares the two.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "weft/net/tcp_listener.h"
#include "weft/net/tcp_stream.h"
#include "weft/runtime/operation.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/status.h"
#include "weft/tests/conformance/backends.h"
#include "weft/tests/conformance/limits.h"
#include "weft/tests/conformance/tcp_support.h"

namespace weft {
namespace {

using namespace std::chrono_literals;
using absl::StatusCode;
using net::ConstBytes;
using net::MutableBytes;
using net::ShutdownMode;
using net::SocketAddress;
using net::TcpListener;
using net::TcpStream;
using testing::ConnectedPair;
using testing::InChild;
using testing::Listen;
using testing::Pair;
using testing::Pattern;
using testing::RunOn;
using testing::ShrinkBuffers;

template <class Config>
class TcpErrorsTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(TcpErrorsTest, testing::KernelBackends, testing::BackendNames);

template <class Config>
class TcpErrorsDeathTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(TcpErrorsDeathTest, testing::KernelBackends,
                 testing::BackendNames);

void ExpectError(const absl::Status& status, StatusCode code, int error,
                 const std::string& message) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_EQ(Errno(status), error) << status;
  EXPECT_EQ(status.message(), message);
}

// An address of a network for documents, which no machine has (RFC 5737).
SocketAddress Foreign() { return SocketAddress::Parse("192.0.2.1:0").value(); }

// With it on, the connection breaks when the peer has not made progress for a
// millisecond; the kernel looks after some hundred.
void SetImpatient(TcpStream& stream, bool on) {
  const int milliseconds = on ? 1 : 0;
  EXPECT_EQ(setsockopt(stream.fd(), IPPROTO_TCP, TCP_USER_TIMEOUT,
                       &milliseconds, sizeof(milliseconds)),
            0);
}

std::string To(const char* call, const SocketAddress& address) {
  return absl::StrCat(call, " ", address.ToString());
}

TYPED_TEST(TcpErrorsTest, ListenOnAPortThatIsInUse) {
  RunOn<TypeParam>([](Io& io) {
    const TcpListener first = Listen(io);
    ExpectError(
        TcpListener::Bind(io, first.local_address()).status(),
        StatusCode::kAlreadyExists, EADDRINUSE,
        To("listen", first.local_address()) + ": address already in use");
  });
}

TYPED_TEST(TcpErrorsTest, ListenOnAnAddressOfAnotherMachine) {
  RunOn<TypeParam>([](Io& io) {
    ExpectError(TcpListener::Bind(io, Foreign()).status(),
                StatusCode::kUnavailable, EADDRNOTAVAIL,
                "listen 192.0.2.1:0: address not available");
  });
}

void NoDescriptorIsLeft() {
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = 0;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

TYPED_TEST(TcpErrorsDeathTest, NothingOpensWithoutDescriptors) {
  constexpr char kWhy[] = ": too many open files in this process";
  EXPECT_EXIT(InChild([&] {
                RunOn<TypeParam>([&](Io& io) {
                  TcpListener listener = Listen(io);
                  const SocketAddress& address = listener.local_address();
                  const auto waiting = TcpStream::Connect(io, address);
                  ASSERT_TRUE(waiting.ok()) << waiting.status();
                  NoDescriptorIsLeft();
                  const SocketAddress any = SocketAddress::Loopback(0);
                  ExpectError(TcpListener::Bind(io, any).status(),
                              StatusCode::kResourceExhausted, EMFILE,
                              To("listen", any) + kWhy);
                  ExpectError(TcpStream::Connect(io, address).status(),
                              StatusCode::kResourceExhausted, EMFILE,
                              To("connect", address) + kWhy);
                  ExpectError(listener.Accept(io).status(),
                              StatusCode::kResourceExhausted, EMFILE,
                              To("accept", address) + kWhy);
                });
              }),
              ::testing::ExitedWithCode(0), "");
}

TYPED_TEST(TcpErrorsTest, ConnectWhereNobodyListens) {
  RunOn<TypeParam>([](Io& io) {
    // A socket that is bound and does not listen keeps the port from others.
    TcpListener listener = Listen(io);
    const auto client = TcpStream::Connect(io, listener.local_address());
    ASSERT_TRUE(client.ok()) << client.status();
    const SocketAddress nobody = client->local_address().value();
    ExpectError(TcpStream::Connect(io, nobody).status(),
                StatusCode::kUnavailable, ECONNREFUSED,
                To("connect", nobody) + ": connection refused");
  });
}

// TCP has no connections to many.
TYPED_TEST(TcpErrorsTest, ConnectToAMulticastAddress) {
  RunOn<TypeParam>([](Io& io) {
    const SocketAddress all = SocketAddress::Parse("224.0.0.1:80").value();
    ExpectError(TcpStream::Connect(io, all).status(), StatusCode::kUnavailable,
                ENETUNREACH, "connect 224.0.0.1:80: network is unreachable");
  });
}

TYPED_TEST(TcpErrorsTest, ConnectFromAnAddressOfAnotherMachine) {
  RunOn<TypeParam>([](Io& io) {
    const TcpListener listener = Listen(io);
    ExpectError(TcpStream::Connect(io, listener.local_address(),
                                   {.local_address = Foreign()})
                    .status(),
                StatusCode::kUnavailable, EADDRNOTAVAIL,
                To("connect", listener.local_address()) +
                    " from 192.0.2.1:0: address not available");
  });
}

TYPED_TEST(TcpErrorsTest, ConnectFromAPortThatIsInUse) {
  RunOn<TypeParam>([](Io& io) {
    const TcpListener listener = Listen(io);
    const SocketAddress& taken = listener.local_address();
    ExpectError(
        TcpStream::Connect(io, taken, {.local_address = taken}).status(),
        StatusCode::kAlreadyExists, EADDRINUSE,
        absl::StrCat("connect ", taken.ToString(), " from ", taken.ToString(),
                     ": address already in use"));
  });
}

TYPED_TEST(TcpErrorsTest, ConnectFromAnAddressOfTheOtherFamily) {
  RunOn<TypeParam>([](Io& io) {
    const TcpListener listener = Listen(io);
    const absl::Status status =
        TcpStream::Connect(io, listener.local_address(),
                           {.local_address = SocketAddress::LoopbackV6(0)})
            .status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status;
    EXPECT_EQ(Errno(status), EAFNOSUPPORT);
  });
}

TYPED_TEST(TcpErrorsTest, ConnectFromLoopbackToElsewhere) {
  RunOn<TypeParam>([](Io& io) {
    const SocketAddress elsewhere = Foreign().WithPort(80);
    const SocketAddress loopback = SocketAddress::Loopback(0);
    ExpectError(
        TcpStream::Connect(io, elsewhere, {.local_address = loopback}).status(),
        StatusCode::kInvalidArgument, EINVAL,
        "connect 192.0.2.1:80: invalid argument");
  });
}

// The backlog is full, so nobody answers.
std::vector<TcpStream> FillBacklog(Io& io, const TcpListener& listener) {
  std::vector<TcpStream> waiting;
  for (;;) {
    Deadline deadline(io, 100ms);
    auto stream = TcpStream::Connect(io, listener.local_address());
    if (!stream.ok()) {
      ExpectError(
          stream.status(), StatusCode::kDeadlineExceeded, ETIME,
          To("connect", listener.local_address()) + ": deadline exceeded");
      return waiting;
    }
    waiting.push_back(*std::move(stream));
  }
}

// The kernel's own limit is minutes; an operation has a shorter one here. The
// status is what TcpStream makes of its result.
TYPED_TEST(TcpErrorsTest, ConnectToAPeerThatDoesNotAnswer) {
  RunOn<TypeParam>([](Io& io) {
    const TcpListener listener = Listen(io, {.backlog = 0});
    const std::vector<TcpStream> waiting = FillBacklog(io, listener);
    const net::Descriptor client(
        socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int milliseconds = 1;
    ASSERT_EQ(setsockopt(client.get(), IPPROTO_TCP, TCP_USER_TIMEOUT,
                         &milliseconds, sizeof(milliseconds)),
              0);
    const SocketAddress& address = listener.local_address();
    const int64_t result =
        io.Perform(op::Connect{.fd = client.get(),
                               .address = address.data(),
                               .address_length = address.size()});
    EXPECT_EQ(result, -ETIMEDOUT);
    EXPECT_EQ(ErrnoStatus(ETIMEDOUT, "x").code(), StatusCode::kUnavailable);
  });
}

TYPED_TEST(TcpErrorsTest, CallsInACancelledScope) {
  RunOn<TypeParam>([](Io& io) {
    TcpListener listener = Listen(io);
    Pair pair = ConnectedPair(io);
    char room[1];
    CancelScope scope(io);
    scope.Cancel();
    const SocketAddress& address = listener.local_address();
    ExpectError(TcpStream::Connect(io, address).status(),
                StatusCode::kCancelled, ECANCELED,
                To("connect", address) + ": cancelled");
    ExpectError(listener.Accept(io).status(), StatusCode::kCancelled, ECANCELED,
                To("accept", address) + ": cancelled");
    ExpectError(pair.client.Read(io, room).status(), StatusCode::kCancelled,
                ECANCELED,
                To("read", pair.client.peer_address()) + ": cancelled");
    ExpectError(pair.client.Write(io, "x").status(), StatusCode::kCancelled,
                ECANCELED,
                To("write", pair.client.peer_address()) + ": cancelled");
  });
}

TYPED_TEST(TcpErrorsTest, CallsAfterTheDeadline) {
  RunOn<TypeParam>([](Io& io) {
    const TcpListener full = Listen(io, {.backlog = 0});
    const std::vector<TcpStream> waiting = FillBacklog(io, full);
    TcpListener listener = Listen(io);
    Pair pair = ConnectedPair(io);
    ShrinkBuffers(pair);
    const std::string large = Pattern(0, size_t{16} << 20);
    constexpr char kWhy[] = ": deadline exceeded";
    char room[1];
    {
      Deadline deadline(io, 10ms);
      ExpectError(listener.Accept(io).status(), StatusCode::kDeadlineExceeded,
                  ETIME, To("accept", listener.local_address()) + kWhy);
    }
    {
      Deadline deadline(io, 10ms);
      ExpectError(pair.client.Read(io, room).status(),
                  StatusCode::kDeadlineExceeded, ETIME,
                  To("read", pair.client.peer_address()) + kWhy);
    }
    Deadline deadline(io, 10ms);
    ExpectError(pair.client.WriteAll(io, large), StatusCode::kDeadlineExceeded,
                ETIME, To("write", pair.client.peer_address()) + kWhy);
  });
}

TYPED_TEST(TcpErrorsTest, ReadAfterTheEnd) {
  RunOn<TypeParam>([](Io& io) {
    Pair pair = ConnectedPair(io);
    pair.server.Close();
    char room[2];
    EXPECT_EQ(pair.client.Read(io, room).value(), 0u);
    ExpectError(pair.client.ReadExactly(io, room), StatusCode::kOutOfRange, 0,
                To("read", pair.client.peer_address()) +
                    ": end of stream after 0 of 2 bytes");
  });
}

TYPED_TEST(TcpErrorsTest, ReadAfterAReset) {
  RunOn<TypeParam>([](Io& io) {
    const auto reset = [&io] {
      Pair pair = ConnectedPair(io);
      EXPECT_TRUE(pair.server.SetResetOnClose(true).ok());
      pair.server.Close();
      return std::move(pair.client);
    };
    constexpr char kWhy[] = ": connection reset by peer";
    char room[1];
    TcpStream first = reset();
    ExpectError(first.Read(io, room).status(), StatusCode::kUnavailable,
                ECONNRESET, To("read", first.peer_address()) + kWhy);
    TcpStream second = reset();
    ExpectError(second.ReadExactly(io, room), StatusCode::kUnavailable,
                ECONNRESET, To("read", second.peer_address()) + kWhy);
    TcpStream third = reset();
    const MutableBytes rooms[] = {room};
    ExpectError(third.ReadVector(io, rooms).status(), StatusCode::kUnavailable,
                ECONNRESET, To("read", third.peer_address()) + kWhy);
  });
}

TYPED_TEST(TcpErrorsTest, WriteAfterAReset) {
  RunOn<TypeParam>([](Io& io) {
    Pair pair = ConnectedPair(io);
    EXPECT_TRUE(pair.server.SetResetOnClose(true).ok());
    pair.server.Close();
    ExpectError(
        pair.client.Write(io, "x").status(), StatusCode::kUnavailable,
        ECONNRESET,
        To("write", pair.client.peer_address()) + ": connection reset by peer");
  });
}

// By every call, to a peer that is gone and in a direction that was ended; the
// signal has its default action, to kill, before and after.
TYPED_TEST(TcpErrorsTest, WriteToABrokenConnectionRaisesNoSignal) {
  RunOn<TypeParam>([](Io& io) {
    const auto expect_default = [] {
      struct sigaction action {};
      sigset_t pending;
      EXPECT_EQ(sigaction(SIGPIPE, nullptr, &action), 0);
      EXPECT_EQ(action.sa_handler, SIG_DFL);
      EXPECT_EQ(sigpending(&pending), 0);
      EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
    };
    expect_default();
    Pair pair = ConnectedPair(io);
    EXPECT_TRUE(pair.server.SetResetOnClose(true).ok());
    pair.server.Close();
    char room[1];
    EXPECT_EQ(Errno(pair.client.Read(io, room).status()), ECONNRESET);
    const ConstBytes pieces[] = {"x", "y"};
    const absl::Status broken[] = {
        pair.client.Write(io, "x").status(),
        pair.client.WriteAll(io, "x"),
        pair.client.WriteVector(io, pieces).status(),
        pair.client.WriteAllVector(io, pieces),
    };
    for (const absl::Status& status : broken) {
      ExpectError(status, StatusCode::kUnavailable, EPIPE,
                  To("write", pair.client.peer_address()) +
                      ": connection closed for writing");
    }
    expect_default();
  });
}

TYPED_TEST(TcpErrorsTest, WriteToAPeerThatNeverReads) {
  RunOn<TypeParam>([](Io& io) {
    Pair pair = ConnectedPair(io);
    ShrinkBuffers(pair);
    SetImpatient(pair.client, true);
    ExpectError(
        pair.client.WriteAll(io, Pattern(0, size_t{16} << 20)),
        StatusCode::kUnavailable, ETIMEDOUT,
        To("write", pair.client.peer_address()) + ": connection timed out");
  });
}

TYPED_TEST(TcpErrorsTest, ReadFromAPeerThatNeverReads) {
  RunOn<TypeParam>([](Io& io) {
    Pair pair = ConnectedPair(io);
    ShrinkBuffers(pair);
    const std::string large = Pattern(0, size_t{16} << 20);
    absl::Status status;
    do {
      // The connection breaks while bytes wait for the peer's window. What is
      // written here may still find room in it later: then once more.
      SetImpatient(pair.client, false);
      for (size_t written = 1; written > 0;) {
        Deadline deadline(io, 20ms);
        EXPECT_EQ(pair.client.WriteAll(io, large, &written).code(),
                  StatusCode::kDeadlineExceeded);
      }
      SetImpatient(pair.client, true);
      Deadline deadline(io, 1s);
      char room[1];
      status = pair.client.Read(io, room).status();
    } while (status.code() == StatusCode::kDeadlineExceeded);
    ExpectError(
        status, StatusCode::kUnavailable, ETIMEDOUT,
        To("read", pair.client.peer_address()) + ": connection timed out");
  });
}

TYPED_TEST(TcpErrorsTest, CallsAfterClose) {
  RunOn<TypeParam>([](Io& io) {
    TcpListener listener = Listen(io);
    Pair pair = ConnectedPair(io);
    const SocketAddress peer = pair.client.peer_address();
    listener.Close();
    pair.client.Close();
    constexpr char kWhy[] = ": closed by this side";
    char room[1];
    ExpectError(listener.Accept(io).status(), StatusCode::kFailedPrecondition,
                ESHUTDOWN, To("accept", listener.local_address()) + kWhy);
    ExpectError(pair.client.Read(io, room).status(),
                StatusCode::kFailedPrecondition, ESHUTDOWN,
                To("read", peer) + kWhy);
    ExpectError(pair.client.Write(io, "x").status(),
                StatusCode::kFailedPrecondition, ESHUTDOWN,
                To("write", peer) + kWhy);
    ExpectError(pair.client.SetNoDelay(true), StatusCode::kFailedPrecondition,
                ESHUTDOWN, To("set no delay of", peer) + kWhy);
    ExpectError(pair.client.local_address().status(),
                StatusCode::kFailedPrecondition, ESHUTDOWN,
                To("local address of", peer) + kWhy);
    ExpectError(pair.client.Shutdown(ShutdownMode::kBoth),
                StatusCode::kFailedPrecondition, ESHUTDOWN,
                To("shut down", peer) + kWhy);
  });
}

TYPED_TEST(TcpErrorsTest, CallsAfterRelease) {
  RunOn<TypeParam>([](Io& io) {
    TcpListener listener = Listen(io);
    const SocketAddress address = listener.local_address();
    const TcpListener moved = std::move(listener);
    Pair pair = ConnectedPair(io);
    const SocketAddress peer = pair.client.peer_address();
    const net::Descriptor released = pair.client.Release();
    constexpr char kWhy[] = ": descriptor is not open";
    char room[1];
    // NOLINTNEXTLINE(bugprone-use-after-move)
    ExpectError(listener.Accept(io).status(), StatusCode::kFailedPrecondition,
                EBADF, To("accept", address) + kWhy);
    ExpectError(pair.client.Read(io, room).status(),
                StatusCode::kFailedPrecondition, EBADF,
                To("read", peer) + kWhy);
    ExpectError(pair.client.Write(io, "x").status(),
                StatusCode::kFailedPrecondition, EBADF,
                To("write", peer) + kWhy);
    ExpectError(pair.client.SetNoDelay(true), StatusCode::kFailedPrecondition,
                EBADF, To("set no delay of", peer) + kWhy);
    ExpectError(pair.client.Shutdown(ShutdownMode::kBoth),
                StatusCode::kFailedPrecondition, EBADF,
                To("shut down", peer) + kWhy);
  });
}

TYPED_TEST(TcpErrorsTest, ShutdownAfterAReset) {
  RunOn<TypeParam>([](Io& io) {
    Pair pair = ConnectedPair(io);
    EXPECT_TRUE(pair.server.SetResetOnClose(true).ok());
    pair.server.Close();
    char room[1];
    EXPECT_EQ(Errno(pair.client.Read(io, room).status()), ECONNRESET);
    ExpectError(
        pair.client.Shutdown(ShutdownMode::kWrite),
        StatusCode::kFailedPrecondition, ENOTCONN,
        To("shut down", pair.client.peer_address()) + ": not connected");
  });
}

TYPED_TEST(TcpErrorsTest, OptionOutOfRange) {
  RunOn<TypeParam>([](Io& io) {
    Pair pair = ConnectedPair(io);
    ExpectError(pair.client.SetKeepAlive({.count = -1}),
                StatusCode::kInvalidArgument, EINVAL,
                To("set keep-alive count of", pair.client.peer_address()) +
                    ": invalid argument");
  });
}

TYPED_TEST(TcpErrorsTest, AdoptWhatIsNoConnection) {
  RunOn<TypeParam>([](Io&) {
    const auto adopt = [](int fd) {
      return TcpStream::Adopt(net::Descriptor(fd)).status();
    };
    ExpectError(adopt(-1), StatusCode::kFailedPrecondition, EBADF,
                "adopt descriptor -1: descriptor is not open");
    const int unconnected = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ExpectError(
        adopt(unconnected), StatusCode::kFailedPrecondition, ENOTCONN,
        absl::StrCat("adopt descriptor ", unconnected, ": not connected"));
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const net::Descriptor other(ends[1]);
    ExpectError(adopt(ends[0]), StatusCode::kInvalidArgument, ENOTSOCK,
                absl::StrCat("adopt descriptor ", ends[0], ": not a socket"));
    const int datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ExpectError(
        adopt(datagrams), StatusCode::kInvalidArgument, 0,
        absl::StrCat("adopt descriptor ", datagrams, ": not a TCP socket"));
  });
}

}  // namespace
}  // namespace weft
