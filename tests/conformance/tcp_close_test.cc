// Streams and listeners that are closed or shut down while tasks are in them,
// on every backend and across backends.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
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
#include "weft/tests/conformance/wait_watch.h"

namespace weft {
namespace {

using absl::StatusCode;
using net::ConstBytes;
using net::MutableBytes;
using net::ShutdownMode;
using net::TcpListener;
using net::TcpStream;
using testing::ConnectedPair;
using testing::EventedUring1;
using testing::EventedUring2;
using testing::IsPattern;
using testing::Listen;
using testing::MakeIo;
using testing::Pair;
using testing::Pattern;
using testing::RunOn;
using testing::RunOnInstance;
using testing::ShrinkBuffers;
using testing::ThreadedConfig;
using testing::WaitWatch;

template <class Config>
class TcpCloseTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(TcpCloseTest, testing::Backends, testing::BackendNames);

template <class Config>
class TcpCloseDeathTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(TcpCloseDeathTest, testing::Backends, testing::BackendNames);

// More than all buffers hold.
const std::string& Large() {
  static const std::string& large = *new std::string(size_t{16} << 20, 'l');
  return large;
}

struct Call {
  const char* name;
  std::function<absl::Status(Io&, TcpStream&)> run;
};

// Every way to wait for bytes that do not come.
std::vector<Call> Reads() {
  return {{"Read",
           [](Io& io, TcpStream& stream) {
             char room[16];
             return stream.Read(io, room).status();
           }},
          {"ReadExactly",
           [](Io& io, TcpStream& stream) {
             char room[16];
             return stream.ReadExactly(io, room);
           }},
          {"ReadVector", [](Io& io, TcpStream& stream) {
             char room[16];
             const MutableBytes rooms[] = {room};
             return stream.ReadVector(io, rooms).status();
           }}};
}

// Every way to wait for a peer that does not read.
std::vector<Call> Writes() {
  return {
      {"Write",
       [](Io& io, TcpStream& stream) {
         for (;;) {
           const auto n = stream.Write(io, Large());
           if (!n.ok()) return n.status();
         }
       }},
      {"WriteAll",
       [](Io& io, TcpStream& stream) { return stream.WriteAll(io, Large()); }},
      {"WriteVector",
       [](Io& io, TcpStream& stream) {
         const ConstBytes pieces[] = {"x", Large()};
         for (;;) {
           const auto n = stream.WriteVector(io, pieces);
           if (!n.ok()) return n.status();
         }
       }},
      {"WriteAllVector", [](Io& io, TcpStream& stream) {
         const ConstBytes pieces[] = {"x", Large()};
         return stream.WriteAllVector(io, pieces);
       }}};
}

void ExpectClosedHere(const absl::Status& status) {
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << status;
  EXPECT_EQ(Errno(status), ESHUTDOWN) << status;
}

bool IsOpen(int fd) {
  return internal::SocketsOf(fd).Control(fd, F_GETFD, 0) >= 0;
}

// Starts each of `calls` in turn on a new connection and has `end` end it
// before it begins, while it begins and once it waits.
template <class B, class End>
void ExpectEnds(B& io, const std::vector<Call>& calls, End end) {
  constexpr int kUntilParked = -1;
  for (const Call& call : calls) {
    for (const int yields : {0, 1, 2, 3, 5, 8, kUntilParked}) {
      SCOPED_TRACE(absl::StrCat(call.name, " after ", yields));
      Pair pair = ConnectedPair(io);
      ShrinkBuffers(pair);
      WaitWatch watch;
      auto waiting = Concurrent(io, [&] {
                       watch.Begin();
                       return call.run(io, pair.client);
                     }).value();
      if (yields == kUntilParked) watch.AwaitParked(io);
      for (int i = 0; i < yields; ++i) io.Yield();
      end(pair.client);
      ExpectClosedHere(waiting.Await(io));
      ExpectClosedHere(call.run(io, pair.client));
    }
  }
}

TYPED_TEST(TcpCloseTest, CloseEndsReads) {
  RunOn<TypeParam>([](auto& io) {
    ExpectEnds(io, Reads(), [](TcpStream& stream) { stream.Close(); });
  });
}

TYPED_TEST(TcpCloseTest, CloseEndsWrites) {
  RunOn<TypeParam>([](auto& io) {
    ExpectEnds(io, Writes(), [](TcpStream& stream) { stream.Close(); });
  });
}

TYPED_TEST(TcpCloseTest, ShutdownEndsReads) {
  RunOn<TypeParam>([](auto& io) {
    for (const ShutdownMode mode : {ShutdownMode::kRead, ShutdownMode::kBoth}) {
      ExpectEnds(io, Reads(), [mode](TcpStream& stream) {
        EXPECT_TRUE(stream.Shutdown(mode).ok());
      });
    }
  });
}

TYPED_TEST(TcpCloseTest, ShutdownEndsWrites) {
  RunOn<TypeParam>([](auto& io) {
    for (const ShutdownMode mode :
         {ShutdownMode::kWrite, ShutdownMode::kBoth}) {
      ExpectEnds(io, Writes(), [mode](TcpStream& stream) {
        EXPECT_TRUE(stream.Shutdown(mode).ok());
      });
    }
  });
}

TYPED_TEST(TcpCloseTest, ShutdownLeavesTheOtherDirectionWaiting) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Pair pair = ConnectedPair(io);
    WaitWatch watch;
    auto reading = Concurrent(io, [&] {
                     watch.Begin();
                     std::string text(6, '\0');
                     EXPECT_TRUE(pair.client.ReadExactly(io, text).ok());
                     return text;
                   }).value();
    watch.AwaitParked(io);
    EXPECT_TRUE(pair.client.Shutdown(ShutdownMode::kWrite).ok());
    char room[1];
    EXPECT_EQ(pair.server.Read(io, room).value(), 0u);
    EXPECT_TRUE(pair.server.WriteAll(io, "answer").ok());
    EXPECT_EQ(reading.Await(io), "answer");
  });
}

TYPED_TEST(TcpCloseTest,
           CloseEndsReaderAndWriterTogetherAndThenFreesTheNumber) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Pair pair = ConnectedPair(io);
    ShrinkBuffers(pair);
    const int fd = pair.client.fd();
    WaitWatch reader;
    WaitWatch writer;
    auto reading = Concurrent(io, [&] {
                     reader.Begin();
                     return Reads()[0].run(io, pair.client);
                   }).value();
    auto writing = Concurrent(io, [&] {
                     writer.Begin();
                     return Writes()[1].run(io, pair.client);
                   }).value();
    reader.AwaitParked(io);
    writer.AwaitParked(io);
    pair.client.Close();
    EXPECT_EQ(pair.client.fd(), -1);
    ExpectClosedHere(reading.Await(io));
    ExpectClosedHere(writing.Await(io));
    EXPECT_FALSE(IsOpen(fd));
  });
}

// The peer gets all that was written before, and then the end.
TYPED_TEST(TcpCloseTest, CloseBesideAReaderSendsWhatWasWritten) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Pair pair = ConnectedPair(io);
    WaitWatch watch;
    auto reading = Concurrent(io, [&] {
                     watch.Begin();
                     return Reads()[0].run(io, pair.client);
                   }).value();
    watch.AwaitParked(io);
    EXPECT_TRUE(pair.client.WriteAll(io, "farewell").ok());
    pair.client.Close();
    std::string text(8, '\0');
    EXPECT_TRUE(pair.server.ReadExactly(io, text).ok());
    EXPECT_EQ(text, "farewell");
    char room[1];
    EXPECT_EQ(pair.server.Read(io, room).value(), 0u);
    ExpectClosedHere(reading.Await(io));
  });
}

TYPED_TEST(TcpCloseTest, CloseEndsEveryAccept) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    constexpr size_t kAccepters = 100;
    TcpListener listener = Listen(io);
    const int fd = listener.fd();
    const net::SocketAddress address = listener.local_address();
    std::vector<WaitWatch> watches(kAccepters);
    std::vector<absl::Status> ends(kAccepters);
    TaskGroup<B> accepters(io);
    for (size_t i = 0; i < kAccepters; ++i) {
      accepters.Spawn([&, i] {
        watches[i].Begin();
        ends[i] = listener.Accept(io).status();
      });
    }
    for (const WaitWatch& watch : watches) watch.AwaitParked(io);
    listener.Close();
    EXPECT_TRUE(accepters.Await(io).ok());
    for (const absl::Status& end : ends) {
      ExpectClosedHere(end);
      EXPECT_EQ(end.message(), absl::StrCat("accept ", address.ToString(),
                                            ": closed by this side"));
    }
    EXPECT_FALSE(IsOpen(fd));
    ExpectClosedHere(listener.Accept(io).status());
    // The port is free.
    const auto next = TcpListener::Bind(io, address);
    EXPECT_TRUE(next.ok()) << next.status();
  });
}

TYPED_TEST(TcpCloseTest, ManyAcceptersGetOneConnectionEach) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    constexpr size_t kAccepters = 200;
    TcpListener listener = Listen(io);
    std::vector<WaitWatch> watches(kAccepters);
    std::vector<std::optional<TcpStream>> servers(kAccepters);
    TaskGroup<B> accepters(io);
    for (size_t i = 0; i < kAccepters; ++i) {
      accepters.Spawn([&, i] {
        watches[i].Begin();
        auto stream = listener.Accept(io);
        if (!stream.ok()) return stream.status();
        servers[i].emplace(*std::move(stream));
        return absl::OkStatus();
      });
    }
    for (const WaitWatch& watch : watches) watch.AwaitParked(io);
    std::vector<TcpStream> clients;
    std::vector<net::SocketAddress> expected;
    for (size_t i = 0; i < kAccepters; ++i) {
      clients.push_back(
          TcpStream::Connect(io, listener.local_address()).value());
      expected.push_back(clients.back().local_address().value());
    }
    EXPECT_EQ(accepters.Await(io), absl::OkStatus());
    std::vector<net::SocketAddress> accepted;
    for (const auto& server : servers) {
      accepted.push_back(server.value().peer_address());
    }
    EXPECT_THAT(accepted, ::testing::UnorderedElementsAreArray(expected));
  });
}

// Connections whose numbers go from hand to hand: whoever closes opens the
// next one at once, while the calls on the old one are still on their way.
// Each connection carries bytes that belong to no other.
TYPED_TEST(TcpCloseTest, NoByteReachesAConnectionThatTakesTheNumber) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    const testing::Seed seed;
    std::mt19937 random = seed.GeneratorFor(0);
    constexpr int kRounds = 200;
    for (int round = 0; round < kRounds; ++round) {
      Pair old = ConnectedPair(io);
      ShrinkBuffers(old);
      TaskGroup<B> users(io);
      users.Spawn([&] {
        char room[64];
        for (;;) {
          const auto n = old.client.Read(io, room);
          if (!n.ok()) return ExpectClosedHere(n.status());
          for (size_t i = 0; i < *n; ++i) EXPECT_EQ(room[i], 'o');
        }
      });
      users.Spawn([&] {
        const std::string text(size_t{64} << 10, 'o');
        for (;;) {
          const absl::Status status = old.client.WriteAll(io, text);
          if (!status.ok()) return ExpectClosedHere(status);
        }
      });
      users.Spawn([&, size = random() % 256] {
        (void)old.server.WriteAll(io, std::string(size, 'o'));
      });
      for (auto yields = random() % 8; yields > 0; --yields) io.Yield();
      old.client.Close();
      Pair next = ConnectedPair(io);
      EXPECT_TRUE(next.client.WriteAll(io, Pattern(1, 100)).ok());
      EXPECT_TRUE(next.server.WriteAll(io, Pattern(2, 100)).ok());
      std::string text(100, '\0');
      EXPECT_TRUE(next.server.ReadExactly(io, text).ok());
      EXPECT_TRUE(IsPattern(1, text));
      EXPECT_TRUE(next.client.ReadExactly(io, text).ok());
      EXPECT_TRUE(IsPattern(2, text));
      EXPECT_TRUE(users.Await(io).ok());
      next.client.Close();
      EXPECT_EQ(next.server.Read(io, text).value(), 0u);
    }
  });
}

// Everything at once, closed by several: one closes, all end.
TYPED_TEST(TcpCloseTest, AnyNumberMayCloseAtAnyTime) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (int round = 0; round < 100; ++round) {
      Pair pair = ConnectedPair(io);
      const int fd = pair.client.fd();
      TaskGroup<B> group(io);
      group.Spawn([&] { ExpectClosedHere(Reads()[1].run(io, pair.client)); });
      group.Spawn([&] {
        while (pair.client.SetNoDelay(true).ok()) io.Yield();
        ExpectClosedHere(pair.client.local_address().status());
      });
      for (int closer = 0; closer < 3; ++closer) {
        group.Spawn([&, closer] {
          for (int i = 0; i < (round + closer) % 4; ++i) io.Yield();
          if (closer == 2) (void)pair.client.Shutdown(ShutdownMode::kBoth);
          pair.client.Close();
        });
      }
      EXPECT_TRUE(group.Await(io).ok());
      EXPECT_FALSE(IsOpen(fd));
    }
  });
}

// In two tasks at once, on one end of a connection.
template <class Config>
void RunTwice(const Call& call) {
  using B = typename Config::Io;
  RunOn<Config>([&call](B& io) {
    Pair pair = ConnectedPair(io);
    TaskGroup<B> group(io);
    for (int i = 0; i < 2; ++i) {
      group.Spawn([&] { return call.run(io, pair.client); });
    }
    (void)group.Await(io);
  });
}

TYPED_TEST(TcpCloseDeathTest, X7SecondReaderIsMisuse) {
  EXPECT_DEATH(RunTwice<TypeParam>(Reads()[0]),
               "weft: misuse: two tasks read one TcpStream at the same time");
}

TYPED_TEST(TcpCloseDeathTest, X7SecondWriterIsMisuse) {
  EXPECT_DEATH(RunTwice<TypeParam>(Writes()[3]),
               "weft: misuse: two tasks write one TcpStream at the same time");
}

// Whether there are bytes in the stream that nobody has read.
bool HasBytes(const TcpStream& stream) {
  char byte;
  return recv(stream.fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

// It looks at the socket itself.
template <class Config>
class TcpCloseKernelDeathTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(TcpCloseKernelDeathTest, testing::KernelBackends,
                 testing::BackendNames);

TYPED_TEST(TcpCloseKernelDeathTest, DestroyingAStreamThatIsReadIsMisuse) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) {
                 Pair pair = ConnectedPair(io);
                 // The server stays, so that nothing ends the read.
                 std::optional<TcpStream> client(std::move(pair.client));
                 EXPECT_TRUE(pair.server.WriteAll(io, "x").ok());
                 testing::YieldUntil(io, [&] { return HasBytes(*client); });
                 auto reading = Concurrent(io, [&] {
                   // The second byte does not come.
                   char room[2];
                   return client->ReadExactly(io, room);
                 });
                 testing::YieldUntil(io, [&] { return !HasBytes(*client); });
                 client.reset();
               }),
               "weft: misuse: a stream or listener was destroyed while a task "
               "reads from it");
}

class TcpCloseCrossingTest : public testing::ConformanceTest<ThreadedConfig> {};

// The reader on one backend, the writer on another, closed by a third.
TEST_F(TcpCloseCrossingTest, CloseReachesEveryBackend) {
  const auto threaded = MakeIo<ThreadedConfig>();
  const auto evented = MakeIo<EventedUring2>();
  const auto other = MakeIo<EventedUring1>();
  for (int round = 0; round < 50; ++round) {
    std::optional<Pair> pair;
    RunOnInstance(*other, [&](Io& io) {
      pair.emplace(ConnectedPair(io));
      ShrinkBuffers(*pair);
    });
    const int fd = pair->client.fd();
    WaitWatch reader;
    WaitWatch writer;
    const auto use = [&](WaitWatch& watch, const Call& call) {
      return [&pair, &watch, call](Io& io) {
        watch.Begin();
        ExpectClosedHere(call.run(io, pair->client));
      };
    };
    const bool swapped = round % 2 == 1;
    const auto read = use(reader, Reads()[0]);
    const auto write = use(writer, Writes()[1]);
    std::thread on_threaded([&] {
      swapped ? RunOnInstance(*threaded, write)
              : RunOnInstance(*threaded, read);
    });
    std::thread on_evented([&] {
      swapped ? RunOnInstance(*evented, read) : RunOnInstance(*evented, write);
    });
    RunOnInstance(*other, [&](Io& io) {
      if (round % 5 == 0) {
        reader.AwaitParked(io);
        writer.AwaitParked(io);
      }
      for (int i = 0; i < round; ++i) io.Yield();
      pair->client.Close();
    });
    on_threaded.join();
    on_evented.join();
    EXPECT_FALSE(IsOpen(fd));
  }
}

TEST_F(TcpCloseCrossingTest, CloseEndsTheAcceptsOfEveryBackend) {
  const auto threaded = MakeIo<ThreadedConfig>();
  const auto evented = MakeIo<EventedUring1>();
  for (int round = 0; round < 50; ++round) {
    std::optional<TcpListener> listener;
    RunOnInstance(*threaded, [&](Io& io) { listener.emplace(Listen(io)); });
    WaitWatch watches[2];
    const auto accept = [&](WaitWatch& watch) {
      return [&](Io& io) {
        watch.Begin();
        ExpectClosedHere(listener->Accept(io).status());
      };
    };
    std::thread on_threaded(
        [&] { RunOnInstance(*threaded, accept(watches[0])); });
    std::thread on_evented(
        [&] { RunOnInstance(*evented, accept(watches[1])); });
    RunOnInstance(*threaded, [&](Io& io) {
      if (round % 2 == 0) {
        for (const WaitWatch& watch : watches) watch.AwaitParked(io);
      }
      listener->Close();
    });
    on_threaded.join();
    on_evented.join();
  }
}

}  // namespace
}  // namespace weft
