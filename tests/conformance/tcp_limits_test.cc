// TCP at the limit on descriptors, and streams that change their backend.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "weft/net/tcp_listener.h"
#include "weft/net/tcp_stream.h"
#include "weft/runtime/status.h"
#include "weft/tests/conformance/backends.h"
#include "weft/tests/conformance/tcp_support.h"

namespace weft {
namespace {

using absl::StatusCode;
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
using testing::RoundTrip;
using testing::RunOn;
using testing::RunOnInstance;
using testing::ThreadedConfig;

template <class Config>
class TcpLimitsDeathTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(TcpLimitsDeathTest, testing::KernelBackends,
                 testing::BackendNames);

// Lets this process open `count` more descriptors.
void LeaveDescriptors(rlim_t count) {
  const net::Descriptor lowest_free(dup(STDERR_FILENO));
  rlimit limit{};
  EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = static_cast<rlim_t>(lowest_free.get()) + count;
  EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

// Serves more clients than there are descriptors for; at the limit, it ends
// its oldest connection and goes on.
void ServeAtTheLimit(Io& io) {
  constexpr size_t kClients = 20;
  TcpListener listener = Listen(io);
  std::vector<TcpStream> clients;
  for (size_t i = 0; i < kClients; ++i) {
    clients.push_back(TcpStream::Connect(io, listener.local_address()).value());
    EXPECT_TRUE(clients.back().WriteAll(io, Pattern(i, 100)).ok());
  }
  LeaveDescriptors(5);
  std::deque<TcpStream> served;
  size_t refused = 0;
  for (size_t i = 0; i < kClients;) {
    auto stream = listener.Accept(io);
    if (!stream.ok()) {
      EXPECT_EQ(stream.status().code(), StatusCode::kResourceExhausted);
      EXPECT_EQ(Errno(stream.status()), EMFILE);
      ++refused;
      ASSERT_FALSE(served.empty());
      served.pop_front();
      continue;
    }
    std::string question(100, '\0');
    EXPECT_TRUE(stream->ReadExactly(io, question).ok());
    EXPECT_TRUE(IsPattern(i, question));
    EXPECT_TRUE(stream->WriteAll(io, question).ok());
    served.push_back(*std::move(stream));
    ++i;
  }
  EXPECT_GE(refused, kClients - 5);
  for (size_t i = 0; i < kClients; ++i) {
    std::string answer(100, '\0');
    EXPECT_TRUE(clients[i].ReadExactly(io, answer).ok());
    EXPECT_TRUE(IsPattern(i, answer));
  }
}

// Connecting meets the same limit.
void ConnectAtTheLimit(Io& io) {
  TcpListener listener = Listen(io);
  LeaveDescriptors(0);
  const auto stream = TcpStream::Connect(io, listener.local_address());
  EXPECT_EQ(stream.status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(stream.status().message(),
            absl::StrCat("connect ", listener.local_address().ToString(),
                         ": too many open files in this process"));
  const auto other = TcpListener::Bind(io, net::SocketAddress::Loopback(0));
  EXPECT_EQ(other.status().message(),
            "listen 127.0.0.1:0: too many open files in this process");
}

// The limit is the whole process's, so this runs in one of its own.
template <class Config, class Fn>
[[noreturn]] void RunAndExit(Fn fn) {
  RunOn<Config>(fn);
  std::exit(::testing::Test::HasFailure() ? EXIT_FAILURE : EXIT_SUCCESS);
}

TYPED_TEST(TcpLimitsDeathTest, ServingGoesOnAtTheLimitOfDescriptors) {
  EXPECT_EXIT(RunAndExit<TypeParam>([](Io& io) { ServeAtTheLimit(io); }),
              ::testing::ExitedWithCode(EXIT_SUCCESS), "");
}

TYPED_TEST(TcpLimitsDeathTest, ConnectReportsTheLimitOfDescriptors) {
  EXPECT_EXIT(RunAndExit<TypeParam>([](Io& io) { ConnectAtTheLimit(io); }),
              ::testing::ExitedWithCode(EXIT_SUCCESS), "");
}

class TcpCrossingTest : public testing::ConformanceTest<ThreadedConfig> {};

TEST_F(TcpCrossingTest, StreamIsHandedFromBackendToBackendAndBack) {
  const auto threaded = MakeIo<ThreadedConfig>();
  const auto evented = MakeIo<EventedUring2>();
  std::optional<Pair> pair;
  const auto exchange = [&](uint64_t position) {
    return [&, position](Io& io) {
      const std::string message = Pattern(position, 10'000);
      std::string received(message.size(), '\0');
      EXPECT_TRUE(pair->client.WriteAll(io, message).ok());
      EXPECT_TRUE(pair->server.ReadExactly(io, received).ok());
      EXPECT_EQ(received, message);
    };
  };
  RunOnInstance(*threaded, [&](Io& io) { pair.emplace(ConnectedPair(io)); });
  RunOnInstance(*threaded, exchange(0));
  RunOnInstance(*evented, exchange(1));
  RunOnInstance(*threaded, exchange(2));
  RunOnInstance(*evented, [&](Io& io) { pair.emplace(ConnectedPair(io)); });
  RunOnInstance(*threaded, exchange(3));
}

// Two backends use the two directions of one stream at the same time, and
// connections are made on one and accepted on the other.
TEST_F(TcpCrossingTest, EachDirectionOfAStreamMayHaveItsOwnBackend) {
  constexpr size_t kSize = size_t{4} << 20;
  const auto threaded = MakeIo<ThreadedConfig>();
  const auto evented = MakeIo<EventedUring1>();
  std::optional<TcpListener> listener;
  std::optional<TcpStream> client;
  std::optional<TcpStream> server;
  RunOnInstance(*evented, [&](Io& io) { listener.emplace(Listen(io)); });
  RunOnInstance(*threaded, [&](Io& io) {
    client.emplace(TcpStream::Connect(io, listener->local_address()).value());
  });
  RunOnInstance(*evented,
                [&](Io& io) { server.emplace(listener->Accept(io).value()); });

  const auto send = [&](TcpStream& stream, uint64_t position) {
    return [&stream, position](Io& io) {
      EXPECT_TRUE(stream.WriteAll(io, Pattern(position, kSize)).ok());
    };
  };
  const auto receive = [&](TcpStream& stream, uint64_t position) {
    return [&stream, position](Io& io) {
      std::string received(kSize, '\0');
      EXPECT_TRUE(stream.ReadExactly(io, received).ok());
      EXPECT_TRUE(IsPattern(position, received));
    };
  };
  std::thread others[] = {
      std::thread([&] { RunOnInstance(*threaded, send(*client, 1)); }),
      std::thread([&] { RunOnInstance(*evented, receive(*client, 2)); }),
      std::thread([&] { RunOnInstance(*evented, send(*server, 2)); }),
  };
  RunOnInstance(*threaded, receive(*server, 1));
  for (std::thread& other : others) other.join();
}

}  // namespace
}  // namespace weft
