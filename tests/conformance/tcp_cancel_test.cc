// Cancels and deadlines that meet TCP operations, on every backend.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "weft/net/tcp_listener.h"
#include "weft/net/tcp_stream.h"
#include "weft/runtime/future.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/task_group.h"
#include "weft/tests/conformance/backends.h"
#include "weft/tests/conformance/tcp_support.h"
#include "weft/tests/conformance/wait_watch.h"

namespace weft {
namespace {

using namespace std::chrono_literals;
using absl::StatusCode;
using net::SocketAddress;
using net::TcpListener;
using net::TcpStream;
using testing::ConnectedPair;
using testing::IsPattern;
using testing::Listen;
using testing::OpenTcp;
using testing::Pair;
using testing::Pattern;
using testing::RoundTrip;
using testing::RunOn;
using testing::ShrinkBuffers;
using testing::WaitWatch;

template <class Config>
class TcpCancelTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(TcpCancelTest, testing::Backends, testing::BackendNames);

// It connects without a wait, by a system call of its own.
template <class Config>
using TcpCancelKernelTest = TcpCancelTest<Config>;
TYPED_TEST_SUITE(TcpCancelKernelTest, testing::KernelBackends,
                 testing::BackendNames);

// Long enough to never pass in a test that works.
constexpr Duration kFarAway = 60s;

void YieldTimes(Io& io, int times) {
  for (; times > 0; --times) io.Yield();
}

// Cancels `call` before, while and after it begins to wait.
template <class B, class Call>
void ExpectCancelEnds(B& io, const char* message, Call call) {
  for (int yields = 0; yields < 50; ++yields) {
    SCOPED_TRACE(yields);
    TaskGroup<B> group(io);
    absl::Status ended;
    group.Spawn([&] { ended = call(); });
    YieldTimes(io, yields);
    group.Cancel();
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_EQ(ended.code(), StatusCode::kCancelled);
    EXPECT_EQ(ended.message(), message);
  }
}

// Gives `call` until a deadline.
template <class Call>
void ExpectDeadlineEnds(Io& io, const char* message, Call call) {
  constexpr Duration kTimeout = 20ms;
  const MonotonicTime begin = io.Now();
  Deadline deadline(io, kTimeout);
  const absl::Status ended = call();
  EXPECT_GE(io.Now() - begin, kTimeout);
  EXPECT_LT(io.Now() - begin, kFarAway);
  EXPECT_TRUE(deadline.fired());
  EXPECT_EQ(ended.code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(ended.message(), message);
}

TYPED_TEST(TcpCancelTest, AcceptEnds) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TcpListener listener = Listen(io);
    const std::string what =
        absl::StrCat("accept ", listener.local_address().ToString());
    const auto accept = [&] { return listener.Accept(io).status(); };
    ExpectCancelEnds(io, absl::StrCat(what, ": cancelled").c_str(), accept);
    ExpectDeadlineEnds(io, absl::StrCat(what, ": deadline exceeded").c_str(),
                       accept);
    // The listener still serves.
    const auto client = TcpStream::Connect(io, listener.local_address());
    EXPECT_TRUE(client.ok()) << client.status();
    EXPECT_TRUE(accept().ok());
  });
}

TYPED_TEST(TcpCancelTest, ReadEnds) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Pair pair = ConnectedPair(io);
    const std::string what =
        absl::StrCat("read ", pair.server.peer_address().ToString());
    const auto read = [&] {
      char room[16];
      return pair.server.Read(io, room).status();
    };
    ExpectCancelEnds(io, absl::StrCat(what, ": cancelled").c_str(), read);
    ExpectDeadlineEnds(io, absl::StrCat(what, ": deadline exceeded").c_str(),
                       read);
    const auto read_vector = [&] {
      char room[16];
      const net::MutableBytes rooms[] = {room};
      return pair.server.ReadVector(io, rooms).status();
    };
    ExpectCancelEnds(io, absl::StrCat(what, ": cancelled").c_str(),
                     read_vector);
    ExpectDeadlineEnds(io, absl::StrCat(what, ": deadline exceeded").c_str(),
                       read_vector);
    EXPECT_TRUE(pair.client.WriteAll(io, "later").ok());
    std::string later(5, '\0');
    EXPECT_TRUE(pair.server.ReadExactly(io, later).ok());
    EXPECT_EQ(later, "later");
  });
}

// What was written before the end, and no more, reaches the reader.
TYPED_TEST(TcpCancelTest, WriteAllEndsAndTellsHowFarItCame) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Pair pair = ConnectedPair(io);
    ShrinkBuffers(pair);
    const std::string large = Pattern(0, size_t{16} << 20);
    const std::string what =
        absl::StrCat("write ", pair.client.peer_address().ToString());
    size_t total = 0;
    const auto write = [&] {
      size_t written = 0;
      const absl::Status status = pair.client.WriteAll(
          io, net::ConstBytes(large).Skip(total), &written);
      total += written;
      return status;
    };
    ExpectDeadlineEnds(io, absl::StrCat(what, ": deadline exceeded").c_str(),
                       write);
    EXPECT_GT(total, 0u);
    ExpectCancelEnds(io, absl::StrCat(what, ": cancelled").c_str(), write);
    pair.client.Close();

    std::string received(large.size(), '\0');
    size_t size = 0;
    EXPECT_EQ(pair.server.ReadExactly(io, received, &size).code(),
              StatusCode::kOutOfRange);
    EXPECT_EQ(size, total);
    EXPECT_TRUE(IsPattern(0, std::span(received).first(size)));
  });
}

// Connects until nobody is let in any more.
std::vector<TcpStream> FillBacklog(Io& io, const TcpListener& listener) {
  constexpr size_t kEnough = 32;
  std::vector<TcpStream> waiting;
  while (waiting.size() < kEnough) {
    Deadline deadline(io, 100ms);
    auto stream = TcpStream::Connect(io, listener.local_address());
    if (!stream.ok()) {
      EXPECT_EQ(stream.status().code(), StatusCode::kDeadlineExceeded);
      return waiting;
    }
    waiting.push_back(*std::move(stream));
  }
  ADD_FAILURE() << "the backlog has no end";
  return waiting;
}

TYPED_TEST(TcpCancelTest, ConnectEndsWhileTheBacklogIsFull) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TcpListener listener = Listen(io, {.backlog = 0});
    const std::vector<TcpStream> waiting = FillBacklog(io, listener);
    const std::string what =
        absl::StrCat("connect ", listener.local_address().ToString());
    const auto connect = [&] {
      return TcpStream::Connect(io, listener.local_address()).status();
    };
    ExpectCancelEnds(io, absl::StrCat(what, ": cancelled").c_str(), connect);
    ExpectDeadlineEnds(io, absl::StrCat(what, ": deadline exceeded").c_str(),
                       connect);
    for (size_t i = 0; i < waiting.size(); ++i) {
      EXPECT_TRUE(listener.Accept(io).ok());
    }
    EXPECT_TRUE(connect().ok());
  });
}

TYPED_TEST(TcpCancelTest, EveryCallInACancelledScopeEnds) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TcpListener listener = Listen(io);
    const auto client = TcpStream::Connect(io, listener.local_address());
    ASSERT_TRUE(client.ok()) << client.status();
    Pair pair = ConnectedPair(io);
    EXPECT_TRUE(pair.client.WriteAll(io, "kept").ok());
    char room[4];
    {
      // Each of these could be done at once.
      CancelScope scope(io);
      scope.Cancel();
      for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(listener.Accept(io).status().code(), StatusCode::kCancelled);
        EXPECT_EQ(
            TcpStream::Connect(io, listener.local_address()).status().code(),
            StatusCode::kCancelled);
        EXPECT_EQ(pair.server.Read(io, room).status().code(),
                  StatusCode::kCancelled);
        EXPECT_EQ(pair.client.Write(io, "lost").status().code(),
                  StatusCode::kCancelled);
      }
    }
    EXPECT_TRUE(listener.Accept(io).ok());
    EXPECT_TRUE(pair.server.ReadExactly(io, room).ok());
    EXPECT_EQ(std::string(room, 4), "kept");
    pair.client.Close();
    EXPECT_EQ(pair.server.Read(io, room).value(), 0u);
  });
}

TYPED_TEST(TcpCancelTest, DeadlinesThatMeetDataLoseNoByte) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    static constexpr size_t kSize = 20'000;
    Pair pair = ConnectedPair(io);
    EXPECT_TRUE(pair.client.SetNoDelay(true).ok());
    auto writing = Concurrent(io, [&] {
                     for (size_t at = 0; at < kSize; ++at) {
                       absl::Status status =
                           pair.client.WriteAll(io, Pattern(at, 1));
                       if (!status.ok()) return status;
                       if (at % 3 == 0) io.Yield();
                     }
                     return absl::OkStatus();
                   }).value();
    size_t at = 0;
    for (int round = 0; at < kSize; ++round) {
      char room[64];
      size_t received = 0;
      absl::Status status;
      {
        Deadline deadline(io, std::chrono::microseconds(round % 40));
        status = pair.server.ReadExactly(io, room, &received);
      }
      ASSERT_TRUE(status.ok() || status.code() == StatusCode::kDeadlineExceeded)
          << status;
      ASSERT_TRUE(IsPattern(at, std::span(room).first(received))) << at;
      at += received;
    }
    EXPECT_EQ(at, kSize);
    EXPECT_TRUE(writing.Await(io).ok());
  });
}

// Moves the pattern with every call in turn, in a scope that ends early, and
// says how many bytes moved.
struct Mover {
  static constexpr size_t kRoom = 200;  // of a read

  size_t Write(Io& io, TcpStream& stream, size_t at, int way) {
    const std::string text = Pattern(at, 300);
    const net::ConstBytes whole(text);
    const net::ConstBytes pieces[] = {net::ConstBytes(text.data(), 100),
                                      whole.Skip(100)};
    size_t moved = 0;
    switch (way % 4) {
      case 0:
        return Count(stream.Write(io, text));
      case 1:
        return Count(stream.WriteVector(io, pieces));
      case 2:
        Check(stream.WriteAll(io, text, &moved));
        return moved;
      default:
        Check(stream.WriteAllVector(io, pieces, &moved));
        return moved;
    }
  }

  size_t Read(Io& io, TcpStream& stream, size_t at, int way) {
    std::string text(kRoom, '\0');
    const net::MutableBytes room(text);
    const net::MutableBytes pieces[] = {net::MutableBytes(text.data(), 50),
                                        room.Skip(50)};
    size_t moved = 0;
    switch (way % 3) {
      case 0:
        moved = Count(stream.Read(io, text));
        break;
      case 1:
        moved = Count(stream.ReadVector(io, pieces));
        break;
      default:
        Check(stream.ReadExactly(io, text, &moved));
    }
    EXPECT_TRUE(IsPattern(at, std::span(text).first(moved))) << at;
    return moved;
  }

  const StatusCode interruption;

 private:
  size_t Count(const absl::StatusOr<size_t>& result) {
    Check(result.status());
    return result.ok() ? *result : 0;
  }
  void Check(const absl::Status& status) {
    EXPECT_TRUE(status.ok() || status.code() == interruption) << status;
  }
};

TYPED_TEST(TcpCancelTest, DeadlinesThatMeetAnyCallLoseNoByte) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    static constexpr size_t kSize = 200'000;
    Pair pair = ConnectedPair(io);
    ShrinkBuffers(pair);
    Mover mover{StatusCode::kDeadlineExceeded};
    auto writing =
        Concurrent(io, [&] {
          size_t at = 0;
          for (int round = 0; at < kSize; ++round) {
            Deadline deadline(io, std::chrono::microseconds(round % 50));
            at += mover.Write(io, pair.client, at, round);
          }
          pair.client.Close();
          return at;
        }).value();
    size_t at = 0;
    // Up to where a read of all that it has room for meets no end.
    for (int round = 0; at + Mover::kRoom <= kSize; ++round) {
      Deadline deadline(io, std::chrono::microseconds(round % 40));
      at += mover.Read(io, pair.server, at, round);
    }
    const size_t written = writing.Await(io);
    std::string rest(written - at, '\0');
    EXPECT_TRUE(pair.server.ReadExactly(io, rest).ok());
    EXPECT_TRUE(IsPattern(at, rest));
    char end[1];
    EXPECT_EQ(pair.server.Read(io, end).value(), 0u);
  });
}

TYPED_TEST(TcpCancelTest, CancelsThatMeetAnyCallLoseNoByte) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Pair pair = ConnectedPair(io);
    ShrinkBuffers(pair);
    Mover mover{StatusCode::kCancelled};
    size_t written = 0;
    size_t read = 0;
    for (int round = 0; round < 400; ++round) {
      TaskGroup<B> group(io);
      group.Spawn([&] {
        for (int i = 0; CheckCancelled(io).ok(); ++i) {
          written += mover.Write(io, pair.client, written, round + i);
        }
      });
      group.Spawn([&] {
        for (int i = 0; CheckCancelled(io).ok(); ++i) {
          read += mover.Read(io, pair.server, read, round + i);
        }
      });
      YieldTimes(io, round % 11);
      group.Cancel();
      EXPECT_TRUE(group.Await(io).ok());
    }
    pair.client.Close();
    std::string rest(written - read, '\0');
    EXPECT_TRUE(pair.server.ReadExactly(io, rest).ok());
    EXPECT_TRUE(IsPattern(read, rest));
    char end[1];
    EXPECT_EQ(pair.server.Read(io, end).value(), 0u);
  });
}

TYPED_TEST(TcpCancelTest, DeadlinesThatMeetConnectionsLoseNone) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    constexpr int kClients = 300;
    TcpListener listener = Listen(io);
    auto connecting = Concurrent(io, [&] {
                        std::vector<SocketAddress> addresses;
                        for (int i = 0; i < kClients; ++i) {
                          const auto client =
                              TcpStream::Connect(io, listener.local_address());
                          if (!client.ok()) break;
                          addresses.push_back(client->local_address().value());
                          YieldTimes(io, i % 3);
                        }
                        return addresses;
                      }).value();
    std::vector<SocketAddress> accepted;
    for (int round = 0; accepted.size() < kClients; ++round) {
      Deadline deadline(io, std::chrono::microseconds(round % 40));
      const auto server = listener.Accept(io);
      if (server.ok()) {
        accepted.push_back(server->peer_address());
      } else {
        ASSERT_EQ(server.status().code(), StatusCode::kDeadlineExceeded);
      }
    }
    // The backlog keeps their order.
    EXPECT_EQ(accepted, connecting.Await(io));
  });
}

// Either the accept that is cancelled gets the connection or the next one.
TYPED_TEST(TcpCancelTest, CancelsThatMeetConnectionsLoseNone) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TcpListener listener = Listen(io);
    for (int round = 0; round < 300; ++round) {
      std::optional<TcpStream> server;
      TaskGroup<B> group(io);
      group.Spawn([&] {
        auto stream = listener.Accept(io);
        if (stream.ok()) {
          server.emplace(*std::move(stream));
        } else {
          EXPECT_EQ(stream.status().code(), StatusCode::kCancelled);
        }
      });
      YieldTimes(io, round % 7);
      auto client = TcpStream::Connect(io, listener.local_address());
      ASSERT_TRUE(client.ok()) << client.status();
      YieldTimes(io, round % 5);
      group.Cancel();
      EXPECT_TRUE(group.Await(io).ok());
      if (!server.has_value()) {
        Deadline deadline(io, kFarAway);
        auto stream = listener.Accept(io);
        ASSERT_TRUE(stream.ok()) << stream.status();
        server.emplace(*std::move(stream));
      }
      EXPECT_EQ(server->peer_address(), client->local_address().value());
    }
  });
}

// The kernel may tell only the first of those that wait, and that one is being
// cancelled. In some of the rounds the connection comes after the cancel was
// prepared and before the kernel hears of it: on one worker if a turn of its
// loop ends in between, on two by chance.
TYPED_TEST(TcpCancelKernelTest, C5ConnectionOfACancelledAcceptIsPassedOn) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    constexpr int kTurn = 128;  // switches, of Evented
    TcpListener listener = Listen(io);
    const SocketAddress& address = listener.local_address();
    for (int round = 0; round < 2 * kTurn; ++round) {
      SCOPED_TRACE(round);
      WaitWatch watches[2];
      const auto accept = [&](WaitWatch& watch) {
        Deadline deadline(io, kFarAway);
        watch.Begin();
        return listener.Accept(io).status();
      };
      auto first = Async(io, [&] { return accept(watches[0]); });
      watches[0].AwaitParked(io);
      auto second = Async(io, [&] { return accept(watches[1]); });
      watches[1].AwaitParked(io);
      YieldTimes(io, kTurn + round / 2);
      const net::Descriptor client = OpenTcp();
      first.Cancel();
      YieldTimes(io, round % 2);
      ASSERT_EQ(connect(client.get(), address.data(), address.size()), 0);
      const absl::Status ended = first.Await(io);
      if (ended.ok()) {
        second.Cancel();
        EXPECT_EQ(second.Await(io).code(), StatusCode::kCancelled);
      } else {
        EXPECT_EQ(ended.code(), StatusCode::kCancelled);
        ASSERT_EQ(second.Await(io), absl::OkStatus());
      }
    }
  });
}

// A connect that is cancelled either gives the stream or leaves nothing.
TYPED_TEST(TcpCancelTest, CancelsThatMeetConnectsLeaveNothingBehind) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TcpListener listener = Listen(io);
    for (int round = 0; round < 300; ++round) {
      std::optional<TcpStream> client;
      TaskGroup<B> group(io);
      group.Spawn([&] {
        auto stream = TcpStream::Connect(io, listener.local_address());
        if (stream.ok()) {
          client.emplace(*std::move(stream));
        } else {
          EXPECT_EQ(stream.status().code(), StatusCode::kCancelled);
        }
      });
      YieldTimes(io, round % 7);
      group.Cancel();
      EXPECT_TRUE(group.Await(io).ok());
      if (!client.has_value()) continue;
      // Those of connects that were cancelled too late come first, closed.
      const SocketAddress address = client->local_address().value();
      for (;;) {
        Deadline deadline(io, kFarAway);
        auto server = listener.Accept(io);
        ASSERT_TRUE(server.ok()) << server.status();
        if (server->peer_address() != address) continue;
        EXPECT_TRUE(server->WriteAll(io, "x").ok());
        char room[1];
        EXPECT_EQ(client->Read(io, room).value(), 1u);
        break;
      }
    }
  });
}

}  // namespace
}  // namespace weft
