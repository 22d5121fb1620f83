// TCP between tasks, on every backend.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "weft/net/tcp_listener.h"
#include "weft/net/tcp_stream.h"
#include "weft/runtime/future.h"
#include "weft/runtime/internal/sockets.h"
#include "weft/runtime/status.h"
#include "weft/runtime/task_group.h"
#include "weft/tests/conformance/backends.h"
#include "weft/tests/conformance/tcp_support.h"

namespace weft {
namespace {

using absl::StatusCode;
using net::ConstBytes;
using net::MutableBytes;
using net::ShutdownMode;
using net::SocketAddress;
using net::TcpListener;
using net::TcpStream;

using internal::Sockets;
using internal::SocketsOf;
using testing::ConnectedPair;
using testing::EchoUntilEnd;
using testing::IsPattern;
using testing::Listen;
using testing::OpenTcp;
using testing::Pair;
using testing::Pattern;
using testing::RoundTrip;
using testing::RunOn;
using testing::ShrinkBuffers;

// The use that the header of TcpStream shows.
absl::Status Ask(Io& io, const SocketAddress& server) {
  auto stream = TcpStream::Connect(io, server);
  if (!stream.ok()) return stream.status();
  if (auto s = stream->WriteAll(io, "hello\n"); !s.ok()) return s;
  char answer[4096];
  absl::StatusOr<size_t> n = stream->Read(io, answer);
  return n.status();
}

// The same for TcpListener.
absl::Status Answer(Io& io, TcpListener& listener) {
  for (;;) {
    absl::StatusOr<TcpStream> stream = listener.Accept(io);
    if (!stream.ok()) return stream.status();
    // All of it: to close before everything was read is to reset.
    char question[6];
    absl::Status got = stream->ReadExactly(io, question);
    if (!got.ok()) return got;
    // Who asks may leave before all of the answer has come.
    (void)stream->WriteAll(io, std::span(question));
  }
}

template <class Config>
class TcpTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(TcpTest, testing::Backends, testing::BackendNames);

TYPED_TEST(TcpTest, AnswersOneClientAfterAnother) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TcpListener listener = Listen(io);
    TaskGroup<B> group(io);
    group.Spawn([&] { return Answer(io, listener); });
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(Ask(io, listener.local_address()).ok());
    }
    group.Cancel();
    EXPECT_TRUE(group.Await(io).ok());
  });
}

TYPED_TEST(TcpTest, EchoBringsBackMessagesOfAnySize) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Pair pair = ConnectedPair(io);
    TaskGroup group(io);
    group.Spawn([&] { return EchoUntilEnd(io, pair.server); });
    constexpr size_t kSizes[] = {1,     2,     3,       100,    1460,
                                 4095,  4096,  4097,    16384,  65535,
                                 65536, 65537, 1 << 20, 3 << 20};
    for (const size_t size : kSizes) {
      SCOPED_TRACE(size);
      const std::string sent = Pattern(size, size);
      std::string received(size, '\0');
      auto writing = Concurrent(io, [&] {
                       return pair.client.WriteAll(io, sent);
                     }).value();
      EXPECT_TRUE(pair.client.ReadExactly(io, received).ok());
      EXPECT_TRUE(writing.Await(io).ok());
      EXPECT_TRUE(received == sent);
    }
    EXPECT_TRUE(pair.client.Shutdown(ShutdownMode::kWrite).ok());
    EXPECT_TRUE(group.Await(io).ok());
    char rest[1];
    EXPECT_EQ(pair.client.Read(io, rest).value(), 0u);
  });
}

TYPED_TEST(TcpTest, SlowReaderGetsEveryByteOfALargeTransfer) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    static constexpr size_t kSize = size_t{32} << 20;
    constexpr uint32_t kSeed = 7;
    Pair pair = ConnectedPair(io);
    // Far less than is sent, so that the writer waits for the reader.
    EXPECT_TRUE(pair.client.SetSendBuffer(size_t{256} << 10).ok());
    EXPECT_TRUE(pair.server.SetReceiveBuffer(size_t{256} << 10).ok());
    auto writing = Concurrent(io, [&] {
                     constexpr size_t kBlock = size_t{1} << 20;
                     for (size_t at = 0; at < kSize; at += kBlock) {
                       absl::Status status =
                           pair.client.WriteAll(io, Pattern(at, kBlock));
                       if (!status.ok()) return status;
                     }
                     return pair.client.Shutdown(ShutdownMode::kWrite);
                   }).value();
    std::mt19937 random(kSeed);
    std::vector<char> buffer(16384);
    size_t at = 0;
    for (;;) {
      io.Yield();
      const size_t room = 1 + random() % buffer.size();
      const auto n = pair.server.Read(io, std::span(buffer).first(room));
      ASSERT_TRUE(n.ok()) << n.status();
      if (*n == 0) break;
      ASSERT_TRUE(IsPattern(at, std::span(buffer).first(*n))) << at;
      at += *n;
    }
    EXPECT_EQ(at, kSize);
    EXPECT_TRUE(writing.Await(io).ok());
  });
}

TYPED_TEST(TcpTest, VectorsCarryEveryPieceInOrder) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Pair pair = ConnectedPair(io);
    ShrinkBuffers(pair);
    std::vector<std::string> texts;
    size_t size = 0;
    for (size_t i = 0; i < 3000; ++i) {
      texts.push_back(Pattern(size, i * 7 % 1500));
      size += texts.back().size();
    }
    const std::vector<ConstBytes> pieces(texts.begin(), texts.end());
    auto writing = Concurrent(io, [&] {
                     size_t written = 0;
                     const absl::Status status =
                         pair.client.WriteAllVector(io, pieces, &written);
                     EXPECT_EQ(written, size);
                     pair.client.Close();
                     return status;
                   }).value();
    std::vector<char> received;
    std::array<char, 7> first;
    std::array<char, 100> second;
    std::array<char, 3000> third;
    const MutableBytes rooms[] = {first, MutableBytes(), second, third};
    for (;;) {
      const auto n = pair.server.ReadVector(io, rooms);
      ASSERT_TRUE(n.ok()) << n.status();
      if (*n == 0) break;
      const size_t before = received.size();
      received.insert(received.end(), first.begin(), first.end());
      received.insert(received.end(), second.begin(), second.end());
      received.insert(received.end(), third.begin(), third.end());
      received.resize(before + *n);
    }
    EXPECT_TRUE(writing.Await(io).ok());
    EXPECT_EQ(received.size(), size);
    EXPECT_TRUE(IsPattern(0, received));
  });
}

TYPED_TEST(TcpTest, WriteIsShortWhenTheBufferIsFull) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    const std::string large = Pattern(0, size_t{16} << 20);
    Pair one = ConnectedPair(io);
    ShrinkBuffers(one);
    const auto n = one.client.Write(io, large);
    ASSERT_TRUE(n.ok()) << n.status();
    EXPECT_GT(*n, 0u);
    EXPECT_LT(*n, large.size());

    Pair other = ConnectedPair(io);
    ShrinkBuffers(other);
    const ConstBytes pieces[] = {"", "x", large, large};
    const auto m = other.client.WriteVector(io, pieces);
    ASSERT_TRUE(m.ok()) << m.status();
    EXPECT_GT(*m, 1u);
    EXPECT_LT(*m, large.size());
  });
}

TYPED_TEST(TcpTest, ReadExactlyTellsHowMuchCameBeforeTheEnd) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Pair pair = ConnectedPair(io);
    EXPECT_TRUE(pair.client.WriteAll(io, "abcdefg").ok());
    pair.client.Close();
    char four[4];
    size_t received = 0;
    EXPECT_TRUE(pair.server.ReadExactly(io, four, &received).ok());
    EXPECT_EQ(received, 4u);
    const absl::Status status = pair.server.ReadExactly(io, four, &received);
    EXPECT_EQ(status.code(), StatusCode::kOutOfRange);
    EXPECT_EQ(status.message(),
              absl::StrCat("read ", pair.server.peer_address().ToString(),
                           ": end of stream after 3 of 4 bytes"));
    ASSERT_EQ(received, 3u);
    EXPECT_EQ(std::string(four, 3), "efg");
  });
}

TYPED_TEST(TcpTest, HalfClosedStreamStillCarriesTheOtherDirection) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Pair pair = ConnectedPair(io);
    EXPECT_TRUE(pair.client.WriteAll(io, "question").ok());
    EXPECT_TRUE(pair.client.Shutdown(ShutdownMode::kWrite).ok());
    std::string question(8, '\0');
    EXPECT_TRUE(pair.server.ReadExactly(io, question).ok());
    EXPECT_EQ(question, "question");
    char rest[1];
    EXPECT_EQ(pair.server.Read(io, rest).value(), 0u);
    EXPECT_EQ(pair.server.Read(io, rest).value(), 0u);

    EXPECT_TRUE(pair.server.WriteAll(io, "answer").ok());
    std::string answer(6, '\0');
    EXPECT_TRUE(pair.client.ReadExactly(io, answer).ok());
    EXPECT_EQ(answer, "answer");
    EXPECT_EQ(Errno(pair.client.Write(io, "x").status()), ESHUTDOWN);
    EXPECT_TRUE(pair.server.Shutdown(ShutdownMode::kWrite).ok());
    EXPECT_EQ(pair.client.Read(io, rest).value(), 0u);
  });
}

TYPED_TEST(TcpTest, ResetReachesAReaderAndThenAWriterWithoutASignal) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Pair pair = ConnectedPair(io);
    auto reading = Concurrent(io, [&] {
                     char room[1];
                     return pair.client.Read(io, room).status();
                   }).value();
    EXPECT_TRUE(pair.server.SetResetOnClose(true).ok());
    pair.server.Close();
    const absl::Status reset = reading.Await(io);
    EXPECT_EQ(reset.code(), StatusCode::kUnavailable);
    EXPECT_EQ(Errno(reset), ECONNRESET);
    EXPECT_EQ(reset.message(),
              absl::StrCat("read ", pair.client.peer_address().ToString(),
                           ": connection reset by peer"));

    const absl::Status broken = pair.client.WriteAll(io, "x");
    EXPECT_EQ(broken.code(), StatusCode::kUnavailable);
    EXPECT_EQ(Errno(broken), EPIPE);
    const ConstBytes pieces[] = {"x", "y"};
    EXPECT_EQ(Errno(pair.client.WriteAllVector(io, pieces)), EPIPE);
  });
}

TYPED_TEST(TcpTest, ResetEndsAWriterThatWaits) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Pair pair = ConnectedPair(io);
    auto writing =
        Concurrent(io, [&] {
          return pair.client.WriteAll(io, Pattern(0, size_t{64} << 20));
        }).value();
    char room[1];
    EXPECT_TRUE(pair.server.ReadExactly(io, room).ok());
    EXPECT_TRUE(pair.server.SetResetOnClose(true).ok());
    pair.server.Close();
    const int error = Errno(writing.Await(io));
    EXPECT_TRUE(error == ECONNRESET || error == EPIPE) << error;
  });
}

TYPED_TEST(TcpTest, ConnectIsRefusedWhereNobodyListens) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    // Bound, so that nobody else gets the port, but not listening.
    const net::Descriptor bound = OpenTcp();
    SocketAddress address = SocketAddress::Loopback(0);
    Sockets& sockets = SocketsOf(bound.get());
    ASSERT_EQ(sockets.Bind(bound.get(), address.data(), address.size()), 0);
    sockaddr_storage name;
    socklen_t size = sizeof(name);
    auto* const raw = reinterpret_cast<sockaddr*>(&name);
    ASSERT_EQ(sockets.LocalAddress(bound.get(), raw, &size), 0);
    address = SocketAddress::FromSockaddr(raw, size).value();

    const auto stream = TcpStream::Connect(io, address);
    EXPECT_EQ(stream.status().code(), StatusCode::kUnavailable);
    EXPECT_EQ(Errno(stream.status()), ECONNREFUSED);
    EXPECT_EQ(
        stream.status().message(),
        absl::StrCat("connect ", address.ToString(), ": connection refused"));
  });
}

TYPED_TEST(TcpTest, ConnectComesFromTheLocalAddress) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TcpListener listener = Listen(io);
    const SocketAddress local = SocketAddress::Parse("127.0.0.2:0").value();
    const auto client = TcpStream::Connect(io, listener.local_address(),
                                           {.local_address = local});
    ASSERT_TRUE(client.ok()) << client.status();
    const auto server = listener.Accept(io);
    ASSERT_TRUE(server.ok()) << server.status();
    EXPECT_EQ(server->peer_address().WithPort(0), local);
    EXPECT_EQ(server->peer_address(), client->local_address().value());
  });
}

TYPED_TEST(TcpTest, PortOfAnotherListenerIsTaken) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    const TcpListener first = Listen(io);
    const auto second = TcpListener::Bind(io, first.local_address());
    EXPECT_EQ(second.status().code(), StatusCode::kAlreadyExists);
    EXPECT_EQ(second.status().message(),
              absl::StrCat("listen ", first.local_address().ToString(),
                           ": address already in use"));
  });
}

TYPED_TEST(TcpTest, ListenersMayShareAPort) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    const TcpListener first = Listen(io, {.reuse_port = true});
    const auto second =
        TcpListener::Bind(io, first.local_address(), {.reuse_port = true});
    EXPECT_TRUE(second.ok()) << second.status();
  });
}

TYPED_TEST(TcpTest, PortIsFreeAgainAfterAClosedListener) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TcpListener first = Listen(io);
    const SocketAddress address = first.local_address();
    // The server's end is closed first, so it is the one that lingers.
    auto client = TcpStream::Connect(io, address);
    ASSERT_TRUE(client.ok()) << client.status();
    EXPECT_TRUE(first.Accept(io).ok());
    first.Close();
    EXPECT_EQ(first.fd(), -1);
    char rest[1];
    EXPECT_EQ(client->Read(io, rest).value(), 0u);
    client->Close();
    const auto second = TcpListener::Bind(io, address);
    EXPECT_TRUE(second.ok()) << second.status();
  });
}

TYPED_TEST(TcpTest, Ipv6LoopbackWorks) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    auto listener = TcpListener::Bind(io, SocketAddress::LoopbackV6(0));
    if (!listener.ok()) {
      GTEST_SKIP() << "no IPv6 loopback here: " << listener.status();
    }
    auto client = TcpStream::Connect(io, listener->local_address());
    ASSERT_TRUE(client.ok()) << client.status();
    auto server = listener->Accept(io);
    ASSERT_TRUE(server.ok()) << server.status();
    EXPECT_EQ(server->peer_address(), client->local_address().value());
    EXPECT_TRUE(server->peer_address().IsLoopback());
    EXPECT_TRUE(client->WriteAll(io, "abc").ok());
    std::string text(3, '\0');
    EXPECT_TRUE(server->ReadExactly(io, text).ok());
    EXPECT_EQ(text, "abc");
  });
}

TYPED_TEST(TcpTest, Ipv6ListenerRefusesIpv4OnlyIfAsked) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    const SocketAddress any = SocketAddress::Parse("[::]:0").value();
    auto both = TcpListener::Bind(io, any);
    if (!both.ok()) GTEST_SKIP() << "no IPv6 here: " << both.status();
    const auto client = TcpStream::Connect(
        io, SocketAddress::Loopback(both->local_address().port()));
    ASSERT_TRUE(client.ok()) << client.status();
    const auto server = both->Accept(io);
    ASSERT_TRUE(server.ok()) << server.status();
    EXPECT_EQ(server->peer_address().family(), AF_INET6);
    EXPECT_TRUE(server->peer_address().IsLoopback());

    const auto only = TcpListener::Bind(io, any, {.ipv6_only = true});
    ASSERT_TRUE(only.ok()) << only.status();
    EXPECT_EQ(Errno(TcpStream::Connect(io, SocketAddress::Loopback(
                                               only->local_address().port()))
                        .status()),
              ECONNREFUSED);
  });
}

TYPED_TEST(TcpTest, ConnectionsGoToOneAccepterEach) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    constexpr size_t kAccepters = 4;
    static constexpr size_t kEach = 10;
    TcpListener listener = Listen(io);
    std::array<std::vector<SocketAddress>, kAccepters> seen;
    TaskGroup accepters(io);
    for (std::vector<SocketAddress>& peers : seen) {
      accepters.Spawn([&] {
        while (peers.size() < kEach) {
          const auto stream = listener.Accept(io);
          if (!stream.ok()) return stream.status();
          peers.push_back(stream->peer_address());
        }
        return absl::OkStatus();
      });
    }
    std::vector<TcpStream> clients;
    std::vector<SocketAddress> expected;
    for (size_t i = 0; i < kAccepters * kEach; ++i) {
      auto client = TcpStream::Connect(io, listener.local_address());
      ASSERT_TRUE(client.ok()) << client.status();
      expected.push_back(client->local_address().value());
      clients.push_back(*std::move(client));
    }
    EXPECT_TRUE(accepters.Await(io).ok());
    std::vector<SocketAddress> accepted;
    for (const std::vector<SocketAddress>& peers : seen) {
      accepted.insert(accepted.end(), peers.begin(), peers.end());
    }
    EXPECT_THAT(accepted, ::testing::UnorderedElementsAreArray(expected));
  });
}

// Every connection stays open until all have echoed twice.
TYPED_TEST(TcpTest, TwoHundredConnectionsEchoAtOnce) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    static constexpr size_t kConnections = 200;
    TcpListener listener = Listen(io);
    TaskGroup servers(io);
    servers.Spawn([&] {
      for (size_t i = 0; i < kConnections; ++i) {
        auto stream = listener.Accept(io);
        if (!stream.ok()) return stream.status();
        servers.Spawn([&io, connection = *std::move(stream)]() mutable {
          return EchoUntilEnd(io, connection);
        });
      }
      return absl::OkStatus();
    });

    std::vector<std::optional<TcpStream>> clients(kConnections);
    TaskGroup group(io);
    for (size_t i = 0; i < kConnections; ++i) {
      group.Spawn([&, i] {
        auto stream = TcpStream::Connect(io, listener.local_address());
        if (!stream.ok()) return stream.status();
        clients[i].emplace(*std::move(stream));
        return RoundTrip(io, *clients[i], Pattern(i, 1 + i * 100));
      });
    }
    EXPECT_EQ(group.Await(io), absl::OkStatus());
    for (size_t i = 0; i < kConnections; ++i) {
      group.Spawn([&, i] {
        return RoundTrip(io, clients[i].value(), Pattern(i, 20'000 - i));
      });
    }
    EXPECT_EQ(group.Await(io), absl::OkStatus());
    clients.clear();
    EXPECT_EQ(servers.Await(io), absl::OkStatus());
  });
}

}  // namespace
}  // namespace weft
