// Faults find what a body does not bear, and tokens replay them.
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <set>
#include <string>

#include "weft/backends/sim/gtest.h"
#include "weft/backends/sim/sim.h"
#include "weft/net/tcp_listener.h"
#include "weft/net/tcp_stream.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/status.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/semaphore.h"

namespace weft::sim {
namespace {

using namespace std::chrono_literals;
using net::SocketAddress;
using net::TcpListener;

// Whether `body` fails with these faults, names what was done, and does the
// same again from the token.
void ExpectFound(const ExploreOptions& options, const char* injected,
                 const std::function<void(Sim&)>& body) {
  const ExploreResult result = FindFailure(options, body);
  ASSERT_FALSE(result.ok()) << result.report;
  EXPECT_NE(result.report.find(injected), std::string::npos) << result.report;
  ExploreOptions again = options;
  again.replay = result.token;
  const ExploreResult replayed = FindFailure(again, body);
  ASSERT_FALSE(replayed.ok());
  EXPECT_EQ(replayed.failure->kind, result.failure->kind) << replayed.report;
  EXPECT_EQ(replayed.failure->text, result.failure->text);
  EXPECT_NE(replayed.report.find(injected), std::string::npos)
      << replayed.report;
}

TEST(Faults, EachErrnoOfACallComesOnceForEachPlace) {
  std::set<int> seen;
  const ExploreResult result = Explore(
      {.schedules = 1'000, .faults = {.operations = true}}, [&](Sim& io) {
        auto listener = TcpListener::Bind(io, SocketAddress::Loopback(0));
        seen.insert(Errno(listener.status()));
      });
  EXPECT_GT(result.fault_rounds, 0u);
  EXPECT_EQ(seen, (std::set<int>{0, EMFILE, ENFILE, ENOBUFS, ENOMEM, EACCES,
                                 EADDRINUSE, EADDRNOTAVAIL}));
}

TEST(Faults, ErrorThatNobodyExpectsIsFound) {
  ExpectFound(
      {.faults = {.operations = true}}, "fails with EADDRINUSE", [](Sim& io) {
        auto listener = TcpListener::Bind(io, SocketAddress::Loopback(0));
        if (Errno(listener.status()) == EADDRINUSE) {
          io.ReportFailure("not foreseen");
        }
      });
}

// The permit that a cancelled task keeps.
void LosePermit(Sim& io) {
  Semaphore<Sim> semaphore(1, 1);
  TaskGroup<Sim> group(io);
  group.Spawn([&](Sim& own) {
    if (!semaphore.Acquire(own).ok()) return;
    if (!Sleep(own, 1s).ok()) return;  // forgets the permit
    semaphore.Release(own);
  });
  (void)group.Await(io);
  if (!semaphore.TryAcquire(io)) io.ReportFailure("the permit is lost");
}

TEST(Faults, CancelAtTheRightPointIsFound) {
  ExpectFound({.faults = {.cancels = true}}, "is cancelled", LosePermit);
}

TEST(Faults, CancelAtRandomIsFound) {
  ExpectFound({.faults = {.cancels = true, .probability = 0.1}}, "is cancelled",
              LosePermit);
}

// Of all that were drawn only those are left that it needs, and no switch that
// it does not need.
TEST(Faults, FaultsThatDoNotMatterAreDropped) {
  const auto body = [](Sim& io) {
    int refused = 0;
    TaskGroup<Sim> group(io);
    for (int i = 0; i < 12; ++i) {
      if (!group.Spawn([&] { (void)Sleep(io, 1s); })) ++refused;
    }
    (void)group.Await(io);
    if (refused >= 2) io.ReportFailure("two were refused");
  };
  const ExploreOptions options{
      .faults = {.cancels = true, .starts = true, .probability = 0.3}};
  const auto count = [](const ExploreResult& result) {
    size_t lines = 0;
    for (size_t at = 0;
         (at = result.report.find("injected at", at)) != std::string::npos;
         ++at) {
      ++lines;
    }
    return lines;
  };
  ExploreOptions whole_options = options;
  whole_options.shrink = false;
  const ExploreResult whole = FindFailure(whole_options, body);
  ASSERT_FALSE(whole.ok());
  EXPECT_GT(count(whole), 2u) << whole.report;
  const ExploreResult shrunk = FindFailure(options, body);
  ASSERT_FALSE(shrunk.ok());
  EXPECT_EQ(count(shrunk), 2u) << shrunk.report;
  ExpectFound(options, "is refused", body);
}

TEST(Faults, DeadlineAtTheRightPointIsFound) {
  ExpectFound({.faults = {.deadlines = true}}, "time jumps to a deadline",
              [](Sim& io) {
                Deadline deadline(io, 1h);
                io.Yield();
                io.Yield();
                if (!CheckCancelled(io).ok()) io.ReportFailure("too late");
              });
}

TEST(Faults, RefusedStartIsFound) {
  ExpectFound({.faults = {.starts = true}},
              "start 1 of the schedule is refused", [](Sim& io) {
                int ran = 0;
                TaskGroup<Sim> group(io);
                group.Spawn([&] { ++ran; });
                // Takes for granted that it starts.
                if (!group.Spawn([&] { ++ran; })) {
                  io.ReportFailure("not foreseen");
                }
                (void)group.Await(io);
              });
}

TEST(Faults, CancelOfACallThatHadSucceededIsFound) {
  ExpectFound({.faults = {.cancels = true}}, "had succeeded", [](Sim& io) {
    auto listener = TcpListener::Bind(io, SocketAddress::Loopback(0)).value();
    TaskGroup<Sim> group(io);
    group.Spawn([&](Sim& own) {
      const auto stream = listener.Accept(own);
      if (stream.ok() &&
          own.CurrentTask("test").Interrupted() == Interruption::kCancelled) {
        own.ReportFailure("cancelled, and yet a stream");
      }
      listener.Close();
    });
    (void)net::TcpStream::Connect(io, listener.local_address());
    (void)group.Await(io);
  });
}

TEST(Faults, TokenWithFaultsThatMakeNoSenseIsRefused) {
  const ExploreResult result = FindFailure(
      {.replay = "2:random:1:10:10:elp:deadlock:+0:x1.1"}, [](Sim&) {});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.failure->kind, FailureKind::kOptions);
  EXPECT_NE(result.report.find("its faults make no sense"), std::string::npos);
}

}  // namespace
}  // namespace weft::sim
