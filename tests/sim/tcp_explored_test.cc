// weft's TCP in many schedules, with everything that can go wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <functional>
#include <optional>
#include <span>
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
#include "weft/runtime/task_group.h"

namespace weft::sim {
namespace {

using namespace std::chrono_literals;
using absl::StatusCode;
using net::SocketAddress;
using net::TcpListener;
using net::TcpStream;

constexpr FaultOptions kEveryFault = {
    .operations = true, .cancels = true, .deadlines = true, .starts = true};

// In random schedules, in such as find bugs of some depth, and with every
// single fault. `body` is told whether there may be faults.
void ExploreTcp(const std::function<void(Sim&, bool)>& body_and_faults) {
  const auto right = [&](Sim& io) { body_and_faults(io, false); };
  const auto body = [&](Sim& io) { body_and_faults(io, true); };
  for (const char* strategy : {"random", "pct", "uniform"}) {
    Explore({.schedules = 2'000, .strategy = strategy}, right);
  }
  const ExploreResult result =
      Explore({.schedules = 10'000, .faults = kEveryFault}, body);
  EXPECT_GE(result.faults, 50u);
  Explore({.schedules = 2'000,
           .faults = {.operations = true,
                      .cancels = true,
                      .deadlines = true,
                      .starts = true,
                      .probability = 0.02}},
          body);
}

// A listener on a free port, and both ends of a connection to it; nothing if
// a fault came in between.
struct Pair {
  TcpStream client;
  TcpStream server;
};

std::optional<Pair> Connected(Io& io) {
  auto listener = TcpListener::Bind(io, SocketAddress::Loopback(0));
  if (!listener.ok()) return std::nullopt;
  auto client = TcpStream::Connect(io, listener->local_address());
  if (!client.ok()) return std::nullopt;
  auto server = listener->Accept(io);
  if (!server.ok()) return std::nullopt;
  return Pair{.client = *std::move(client), .server = *std::move(server)};
}

absl::Status Echo(Io& io, TcpStream& stream) {
  char buffer[8];
  for (;;) {
    const auto n = stream.Read(io, buffer);
    if (!n.ok()) return n.status();
    if (*n == 0) return stream.Shutdown(net::ShutdownMode::kWrite);
    absl::Status sent = stream.WriteAll(io, std::span(buffer).first(*n));
    if (!sent.ok()) return sent;
  }
}

// What may come of a call if anything may go wrong but the program.
void ExpectPlausible(const absl::Status& status) {
  const StatusCode code = status.code();
  EXPECT_TRUE(code != StatusCode::kUnknown && code != StatusCode::kInternal &&
              code != StatusCode::kInvalidArgument && Errno(status) != EBADF)
      << status;
}

// Of a call in a socket that another task has closed.
void ExpectEnded(const absl::Status& status, bool faults) {
  if (!faults) {
    EXPECT_EQ(Errno(status), ESHUTDOWN) << status;
  } else {
    // Something else may have ended it before.
    EXPECT_FALSE(status.ok());
    if (status.code() != StatusCode::kUnknown) ExpectPlausible(status);
  }
}

// Everything comes back in order, or the client learns of an error; and
// nothing stays behind.
TEST(TcpExplored, EchoBringsBackEverythingOrAnError) {
  ExploreTcp([](Sim& io, bool faults) {
    auto listener = TcpListener::Bind(io, SocketAddress::Loopback(0));
    if (!listener.ok()) return ExpectPlausible(listener.status());
    TaskGroup<Sim> group(io);
    if (!group.Spawn([&](Sim& own) {
          auto stream = listener->Accept(own);
          if (stream.ok()) (void)Echo(own, *stream);
          // Who connects later is refused.
          listener->Close();
        }))
      return;
    const std::string sent = "What comes, goes back.";
    std::string received(sent.size(), '\0');
    size_t size = 0;
    auto stream = TcpStream::Connect(io, listener->local_address());
    absl::Status status = stream.status();
    if (status.ok()) status = stream->WriteAll(io, sent);
    if (status.ok()) status = stream->Shutdown(net::ShutdownMode::kWrite);
    if (status.ok()) status = stream->ReadExactly(io, received, &size);
    EXPECT_EQ(received.substr(0, size), sent.substr(0, size));
    EXPECT_TRUE(faults || status.ok()) << status;
    if (status.ok()) {
      char more[1];
      const auto n = stream->Read(io, more);
      EXPECT_TRUE(!n.ok() || *n == 0);
    } else {
      EXPECT_NE(status.code(), StatusCode::kCancelled);
      EXPECT_NE(status.code(), StatusCode::kDeadlineExceeded);
    }
    if (stream.ok()) stream->Close();
    listener->Close();
    (void)group.Await(io);
  });
}

TEST(TcpExplored, HalfClosedStreamCarriesTheAnswer) {
  ExploreTcp([](Sim& io, bool faults) {
    std::optional<Pair> pair = Connected(io);
    if (!pair.has_value()) return;
    TaskGroup<Sim> group(io);
    absl::Status served = absl::UnknownError("never ran");
    std::string question;
    if (!group.Spawn([&](Sim& own) {
          served = [&] {
            for (;;) {
              char room[4];
              const auto n = pair->server.Read(own, room);
              if (!n.ok()) return n.status();
              if (*n == 0) break;
              question.append(room, *n);
            }
            return pair->server.WriteAll(own, "answer");
          }();
          pair->server.Close();
        }))
      return;
    std::string answer(6, '\0');
    absl::Status asked = pair->client.WriteAll(io, "question");
    if (asked.ok()) asked = pair->client.Shutdown(net::ShutdownMode::kWrite);
    const bool all_asked = asked.ok();
    if (asked.ok()) asked = pair->client.ReadExactly(io, answer);
    if (!asked.ok()) pair->client.Close();
    (void)group.Await(io);
    EXPECT_TRUE(faults || (served.ok() && asked.ok())) << served << asked;
    // Who gives up in the middle ends the stream, too.
    if (served.ok() && all_asked) {
      EXPECT_EQ(question, "question");
    }
    if (asked.ok()) {
      EXPECT_EQ(answer, "answer");
    } else {
      ExpectPlausible(asked);
    }
  });
}

// The reader ends, and what it reports is that this side has closed, unless
// something else came first.
TEST(TcpExplored, CloseEndsTheReaderOfAnotherTask) {
  ExploreTcp([](Sim& io, bool faults) {
    std::optional<Pair> pair = Connected(io);
    if (!pair.has_value()) return;
    TaskGroup<Sim> group(io);
    absl::Status ended = absl::UnknownError("never ran");
    if (!group.Spawn([&](Sim& own) {
          char room[1];
          ended = pair->client.Read(own, room).status();
        }))
      return;
    pair->client.Close();
    // Its number may be taken at once.
    std::optional<Pair> next = Connected(io);
    (void)group.Await(io);
    EXPECT_EQ(pair->client.fd(), -1);
    ExpectEnded(ended, faults);
  });
}

// The number goes to another connection as soon as nobody is in the old one.
TEST(TcpExplored, CloseHarmsNoConnectionThatTakesTheNumber) {
  ExploreTcp([](Sim& io, bool faults) {
    std::optional<Pair> pair = Connected(io);
    if (!pair.has_value()) return;
    if (!pair->server.WriteAll(io, "x").ok()) return;
    TaskGroup<Sim> group(io);
    if (!group.Spawn([&](Sim& own) {
          char room[1];
          (void)pair->client.Read(own, room);
          std::optional<Pair> next = Connected(own);
          EXPECT_TRUE(faults || next.has_value());
          if (!next.has_value()) return;
          absl::Status status = next->client.WriteAll(own, "y");
          if (status.ok()) status = next->server.ReadExactly(own, room);
          EXPECT_TRUE(faults || status.ok()) << status;
        })) {
      return;
    }
    pair->client.Close();
    (void)group.Await(io);
  });
}

TEST(TcpExplored, CloseEndsTheWriterOfAnotherTask) {
  ExploreTcp([](Sim& io, bool faults) {
    std::optional<Pair> pair = Connected(io);
    if (!pair.has_value()) return;
    // The peer never reads.
    EXPECT_TRUE(pair->client.SetSendBuffer(1).ok());
    EXPECT_TRUE(pair->server.SetReceiveBuffer(1).ok());
    TaskGroup<Sim> group(io);
    absl::Status ended = absl::UnknownError("never ran");
    if (!group.Spawn([&](Sim& own) {
          ended = pair->client.WriteAll(own, std::string(20'000, 'x'));
        }))
      return;
    pair->client.Close();
    (void)group.Await(io);
    ExpectEnded(ended, faults);
  });
}

// The stream that comes of a connect, or nothing; never half of one.
TEST(TcpExplored, ConnectThatIsCancelledGivesAStreamOrNothing) {
  ExploreTcp([](Sim& io, bool faults) {
    auto listener = TcpListener::Bind(io, SocketAddress::Loopback(0));
    if (!listener.ok()) return;
    const size_t before = io.network().open_descriptors();
    std::optional<TcpStream> client;
    TaskGroup<Sim> group(io);
    if (!group.Spawn([&](Sim& own) {
          auto stream = TcpStream::Connect(own, listener->local_address());
          if (stream.ok()) client.emplace(*std::move(stream));
        }))
      return;
    group.Cancel();
    EXPECT_TRUE(group.Await(io).ok() || faults);
    EXPECT_EQ(io.network().open_descriptors(),
              before + (client.has_value() ? 1 : 0));
    if (!client.has_value()) return;
    auto server = listener->Accept(io);
    if (!server.ok()) return ExpectPlausible(server.status());
    EXPECT_EQ(server->peer_address(), client->local_address().value());
  });
}

// The connection goes to the accept that is cancelled or to the next one.
TEST(TcpExplored, AcceptThatIsCancelledLosesNoConnection) {
  ExploreTcp([](Sim& io, bool faults) {
    auto listener = TcpListener::Bind(io, SocketAddress::Loopback(0));
    if (!listener.ok()) return;
    std::optional<TcpStream> server;
    TaskGroup<Sim> group(io);
    if (!group.Spawn([&](Sim& own) {
          auto stream = listener->Accept(own);
          if (stream.ok()) server.emplace(*std::move(stream));
        }))
      return;
    auto client = TcpStream::Connect(io, listener->local_address());
    group.Cancel();
    (void)group.Await(io);
    EXPECT_TRUE(faults || client.ok()) << client.status();
    if (!client.ok()) return ExpectPlausible(client.status());
    if (!server.has_value()) {
      Deadline deadline(io, 1h);
      auto stream = listener->Accept(io);
      if (!stream.ok()) return ExpectPlausible(stream.status());
      server.emplace(*std::move(stream));
    }
    EXPECT_EQ(server->peer_address(), client->local_address().value());
  });
}

// What arrives is read by the call that runs out of time or by the next one.
TEST(TcpExplored, DeadlineThatMeetsDataLosesNoByte) {
  ExploreTcp([](Sim& io, bool faults) {
    const Host far = io.network().AddHost("far");
    io.network().SetLatency(0ms, 3ms);
    std::optional<TcpListener> listener;
    {
      auto bound = TcpListener::Bind(
          io, SocketAddress::Parse(io.network().Address({}, 80)).value());
      if (!bound.ok()) return;
      listener.emplace(*std::move(bound));
    }
    const std::string text = "every byte, and in order";
    TaskGroup<Sim> group(io);
    absl::Status written = absl::UnknownError("never ran");
    {
      const OnHost on(io, far);
      if (!group.Spawn([&](Sim& own) {
            written = [&] {
              auto client = TcpStream::Connect(own, listener->local_address());
              if (!client.ok()) return client.status();
              for (const char c : text) {
                const std::string one(1, c);
                absl::Status sent = client->WriteAll(own, one);
                if (!sent.ok()) return sent;
              }
              return absl::OkStatus();
            }();
            // Not heard of by an accept that has nothing to wait for any more.
            if (!written.ok()) listener->Close();
          }))
        return;
    }
    auto server = listener->Accept(io);
    std::string received;
    absl::Status status = server.status();
    while (status.ok() && received.size() < text.size()) {
      char room[5];
      size_t size = 0;
      {
        Deadline deadline(io, 1ms);
        const size_t rest = text.size() - received.size();
        status = server->ReadExactly(
            io, std::span(room).first(std::min(sizeof(room), rest)), &size);
      }
      received.append(room, size);
      if (status.code() == StatusCode::kDeadlineExceeded) {
        status = absl::OkStatus();
      }
    }
    EXPECT_EQ(received, text.substr(0, received.size()));
    (void)group.Await(io);
    EXPECT_TRUE(faults || (written.ok() && status.ok())) << written << status;
    if (written.ok() && status.ok()) {
      EXPECT_EQ(received, text);
    }
    if (!status.ok()) ExpectPlausible(status);
  });
}

}  // namespace
}  // namespace weft::sim
