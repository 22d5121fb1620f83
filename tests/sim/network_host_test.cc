// Hosts of the simulated network: what lies between them, and what becomes of
// connections when something happens to it.
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "weft/backends/sim/gtest.h"
#include "weft/backends/sim/network.h"
#include "weft/backends/sim/sim.h"
#include "weft/net/tcp_listener.h"
#include "weft/net/tcp_stream.h"
#include "weft/runtime/future.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/status.h"
#include "weft/tests/sim/abandoned.h"

namespace weft::sim {
namespace {

using namespace std::chrono_literals;
using net::SocketAddress;
using net::TcpListener;
using net::TcpStream;

constexpr uint64_t kSchedules = 100;

// Calls `body` so many times: none is repeated.
void InSchedules(const std::function<void(Sim&)>& body) {
  const ExploreResult result =
      Explore({.schedules = kSchedules, .repeat_every = 0}, body);
  EXPECT_EQ(result.schedules, kSchedules);
}

SocketAddress At(Sim& io, Host host, uint16_t port) {
  return SocketAddress::Parse(io.network().Address(host, port)).value();
}

// A connection from localhost to a host of its own.
struct Far {
  Host host;
  TcpListener listener;
  TcpStream client;
  TcpStream server;
};

Far ConnectFar(Sim& io) {
  const Host host = io.network().AddHost("far");
  const OnHost on(io, host);
  TcpListener listener = TcpListener::Bind(io, At(io, host, 80)).value();
  const OnHost back(io, io.network().localhost());
  TcpStream client = TcpStream::Connect(io, listener.local_address()).value();
  TcpStream server = listener.Accept(io).value();
  return {.host = host,
          .listener = std::move(listener),
          .client = std::move(client),
          .server = std::move(server)};
}

TEST(NetworkHost, AddressesAreThoseOfTheHosts) {
  InSchedules([](Sim& io) {
    Far far = ConnectFar(io);
    EXPECT_EQ(far.client.peer_address().ToString(), "10.0.0.2:80");
    EXPECT_EQ(far.server.peer_address().WithPort(0).ToString(), "10.0.0.1:0");
    const OnHost on(io, far.host);
    auto v6 = TcpListener::Bind(
        io, SocketAddress::Parse(io.network().AddressV6(far.host, 81)).value());
    ASSERT_TRUE(v6.ok()) << v6.status();
    EXPECT_EQ(v6->local_address().ToString(), "[fd00::2]:81");
    // Others have their own loopback, and none of this host's addresses.
    const OnHost back(io, io.network().localhost());
    EXPECT_EQ(Errno(TcpListener::Bind(io, At(io, far.host, 82)).status()),
              EADDRNOTAVAIL);
    EXPECT_EQ(
        Errno(TcpStream::Connect(io, SocketAddress::Loopback(80)).status()),
        ECONNREFUSED);
    EXPECT_TRUE(TcpStream::Connect(io, v6->local_address()).ok());
  });
}

TEST(NetworkHost, HostThatIsNotThereIsUnreachable) {
  InSchedules([](Sim& io) {
    const auto connect = [&](const char* address) {
      return Errno(TcpStream::Connect(io, SocketAddress::Parse(address).value())
                       .status());
    };
    const MonotonicTime begin = io.Now();
    EXPECT_EQ(connect("10.0.0.9:80"), EHOSTUNREACH);
    EXPECT_EQ(io.Now() - begin, 3s);
    EXPECT_EQ(connect("198.51.100.1:80"), ENETUNREACH);
  });
}

TEST(NetworkHost, LatencyIsVirtualTimeThereAndBack) {
  InSchedules([](Sim& io) {
    io.network().SetLatency(10ms, 20ms);
    const MonotonicTime begin = io.Now();
    Far far = ConnectFar(io);
    EXPECT_GE(io.Now() - begin, 20ms);
    EXPECT_LE(io.Now() - begin, 40ms);
    const MonotonicTime sent = io.Now();
    EXPECT_TRUE(far.client.WriteAll(io, "x").ok());
    EXPECT_EQ(io.Now(), sent);
    char room[1];
    EXPECT_EQ(far.server.Read(io, room).value(), 1u);
    EXPECT_GE(io.Now() - sent, 10ms);
    EXPECT_LE(io.Now() - sent, 20ms);
  });
}

TEST(NetworkHost, LatencyKeepsTheOrderOfTheBytesAndTheEnd) {
  InSchedules([](Sim& io) {
    io.network().SetLatency(0ms, 50ms);
    Far far = ConnectFar(io);
    const std::string text = "all in the order in which it was sent";
    EXPECT_TRUE(far.client.WriteAll(io, text).ok());
    far.client.Close();
    std::string received(text.size(), '\0');
    EXPECT_TRUE(far.server.ReadExactly(io, received).ok());
    EXPECT_EQ(received, text);
    EXPECT_EQ(far.server.Read(io, received).value(), 0u);
  });
}

TEST(NetworkHost, ReadsAndWritesAreCutShort) {
  const auto sizes = [](Splitting splitting, int& reads) {
    return [splitting, &reads](Sim& io) {
      io.network().SetSplitting(splitting);
      Far far = ConnectFar(io);
      const std::string text(100, 'x');
      EXPECT_TRUE(far.client.WriteAll(io, text).ok());
      far.client.Close();
      for (;;) {
        char room[100];
        const size_t n = far.server.Read(io, room).value();
        if (n == 0) break;
        ++reads;
      }
    };
  };
  int reads = 0;
  InSchedules(sizes(Splitting::kNone, reads));
  EXPECT_EQ(reads, int{kSchedules});
  reads = 0;
  InSchedules(sizes(Splitting::kBytes, reads));
  EXPECT_EQ(reads, 100 * int{kSchedules});
  reads = 0;
  InSchedules(sizes(Splitting::kRandom, reads));
  EXPECT_GT(reads, int{kSchedules});
  EXPECT_LT(reads, 10 * int{kSchedules});
}

TEST(NetworkHost, WhatAPartitionHoldsBackArrivesAfterwards) {
  InSchedules([](Sim& io) {
    Far far = ConnectFar(io);
    io.network().Partition({}, far.host);
    EXPECT_TRUE(far.client.WriteAll(io, "late").ok());
    char room[4];
    {
      Deadline deadline(io, 1min);
      EXPECT_EQ(Errno(far.server.Read(io, room).status()), ETIME);
    }
    io.network().Heal({}, far.host);
    EXPECT_TRUE(far.server.ReadExactly(io, room).ok());
    EXPECT_EQ(std::string(room, 4), "late");
  });
}

TEST(NetworkHost, PartitionInOneDirectionLetsTheOtherThrough) {
  InSchedules([](Sim& io) {
    Far far = ConnectFar(io);
    io.network().PartitionOneWay(far.host, {});
    EXPECT_TRUE(far.client.WriteAll(io, "heard").ok());
    std::string text(5, '\0');
    EXPECT_TRUE(far.server.ReadExactly(io, text).ok());
    EXPECT_TRUE(far.server.WriteAll(io, "mute").ok());
    // Nobody acknowledges, on either side.
    const MonotonicTime begin = io.Now();
    EXPECT_EQ(Errno(far.client.Read(io, text).status()), ETIMEDOUT);
    EXPECT_GE(io.Now() - begin, 15min);
    EXPECT_LE(io.Now() - begin, 16min);
  });
}

TEST(NetworkHost, ConnectThroughAPartitionTimesOutOrWaitsForItsEnd) {
  InSchedules([](Sim& io) {
    const Host host = io.network().AddHost("far");
    std::optional<TcpListener> listener;
    {
      const OnHost on(io, host);
      listener.emplace(TcpListener::Bind(io, At(io, host, 80)).value());
    }
    io.network().Partition({}, host);
    const MonotonicTime begin = io.Now();
    EXPECT_EQ(Errno(TcpStream::Connect(io, listener->local_address()).status()),
              ETIMEDOUT);
    EXPECT_EQ(io.Now() - begin, 127s);
    auto connecting =
        Concurrent(io, [&](Sim& own) {
          return TcpStream::Connect(own, listener->local_address());
        }).value();
    EXPECT_TRUE(Sleep(io, 5s).ok());
    io.network().Heal({}, host);
    EXPECT_TRUE(connecting.Await(io).ok());
  });
}

TEST(NetworkHost, ResetReachesBothEnds) {
  InSchedules([](Sim& io) {
    Far far = ConnectFar(io);
    auto reading = Concurrent(io, [&](Sim& own) {
                     char room[1];
                     return far.server.Read(own, room).status();
                   }).value();
    io.network().ResetConnections({}, far.host);
    EXPECT_EQ(Errno(reading.Await(io)), ECONNRESET);
    EXPECT_EQ(Errno(far.client.Write(io, "x").status()), ECONNRESET);
    EXPECT_EQ(Errno(far.client.Write(io, "x").status()), EPIPE);
  });
}

TEST(NetworkHost, HostWithoutPowerSaysNothingAndResetsOnceItIsBack) {
  InSchedules([](Sim& io) {
    Far far = ConnectFar(io);
    const Host host = far.host;
    // A task of the host.
    std::optional<Future<absl::Status, Sim>> serving;
    {
      const OnHost on(io, host);
      serving.emplace(Concurrent(io, [&](Sim& own) {
                        char room[1];
                        return far.server.Read(own, room).status();
                      }).value());
    }
    io.network().Kill(host);
    const absl::Status ended = serving->Await(io);
    EXPECT_TRUE(Errno(ended) == ECANCELED || Errno(ended) == ENETDOWN) << ended;
    EXPECT_EQ(Errno(far.server.Write(io, "x").status()), ENETDOWN);
    char room[1];
    {
      Deadline deadline(io, 1h);
      EXPECT_EQ(Errno(far.client.Read(io, room).status()), ETIME);
    }
    // It is not known here that nobody listens.
    EXPECT_TRUE(far.client.Write(io, "x").ok());
    io.network().Restart(host);
    EXPECT_EQ(Errno(far.client.Read(io, room).status()), ECONNRESET);
    EXPECT_EQ(Errno(TcpStream::Connect(io, At(io, host, 80)).status()),
              ECONNREFUSED);
    const OnHost on(io, host);
    auto again = TcpListener::Bind(io, At(io, host, 80));
    EXPECT_TRUE(again.ok()) << again.status();
  });
}

TEST(NetworkHost, LimitOfDescriptorsIsMet) {
  InSchedules([](Sim& io) {
    auto listener = TcpListener::Bind(io, SocketAddress::Loopback(0)).value();
    auto client = TcpStream::Connect(io, listener.local_address()).value();
    EXPECT_EQ(io.network().open_descriptors(), 2u);
    io.network().SetDescriptorLimit(2);
    EXPECT_EQ(Errno(listener.Accept(io).status()), EMFILE);
    io.network().SetDescriptorLimit(3);
    // It went on waiting.
    EXPECT_TRUE(listener.Accept(io).ok());
  });
}

TEST(NetworkHost, DescriptorThatIsLeftOpenFailsTheSchedule) {
  const ExploreResult result = FindFailure({.schedules = 1}, [](Sim& io) {
    auto listener = TcpListener::Bind(io, SocketAddress::Loopback(0)).value();
    auto stream = TcpStream::Connect(io, listener.local_address()).value();
    // Only the number is left, and nobody closes it.
    (void)stream.Release().Release();
  });
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.failure->kind, FailureKind::kLeakedDescriptor);
  EXPECT_NE(result.report.find("a connection of 127.0.0.1:"), std::string::npos)
      << result.report;
}

TEST(NetworkHost, DeadlockTellsWhatTheTasksWaitFor) {
  const KeepAbandoned keep;
  const ExploreResult result = FindFailure({.schedules = 1}, [](Sim& io) {
    auto listener = TcpListener::Bind(io, SocketAddress::Loopback(0));
    (void)listener->Accept(io);
  });
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.failure->kind, FailureKind::kDeadlock);
  EXPECT_NE(result.report.find("waits in accept"), std::string::npos)
      << result.report;
}

}  // namespace
}  // namespace weft::sim
