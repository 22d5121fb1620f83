// Tokens, replays, and the shrinking of schedules.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "weft/backends/sim/explore.h"
#include "weft/backends/sim/internal/token.h"
#include "weft/tests/sim/abandoned.h"
#include "weft/tests/sim/programs.h"

namespace weft::sim {
namespace {

using namespace std::chrono_literals;
using internal::ExploredAtomic;

TEST(ReplayTest, TokenReplaysTheFailureEveryTime) {
  const auto body = [](Sim& io) { RacyCounter(io, 3); };
  const ExploreResult found = FindFailure({}, body);
  ASSERT_FALSE(found.ok());
  for (int i = 0; i < 100; ++i) {
    const ExploreResult again = FindFailure({.replay = found.token}, body);
    ASSERT_EQ(KindOf(again), FailureKind::kExpectation) << again.report;
    EXPECT_EQ(again.token, found.token);
    EXPECT_EQ(again.failure->step, found.failure->step);
    EXPECT_EQ(again.schedules, 1u);
  }
}

TEST(ReplayTest, DeadlockReplays) {
  const KeepAbandoned keep;
  const ExploreResult found = FindFailure({}, OppositeLocks);
  const ExploreResult again =
      FindFailure({.replay = found.token}, OppositeLocks);
  ASSERT_EQ(KindOf(again), FailureKind::kDeadlock) << again.report;
  EXPECT_EQ(again.token, found.token);
  EXPECT_EQ(again.failure->tasks, found.failure->tasks);
}

TEST(ReplayTest, LivelockReplays) {
  const KeepAbandoned keep;
  const auto body = [](Sim& io) {
    ExploredAtomic<bool> flag{false};
    auto waiter = Async(io, [&] {
      while (!flag.load()) {
      }
    });
    for (int i = 0; i < 5; ++i) io.Yield();
  };
  const ExploreOptions options{.unfair_steps = 100, .max_steps = 1'000};
  const ExploreResult found = FindFailure(options, body);
  ASSERT_EQ(KindOf(found), FailureKind::kLivelock);
  // The limits are those of the token.
  const ExploreResult again = FindFailure({.replay = found.token}, body);
  EXPECT_EQ(KindOf(again), FailureKind::kLivelock) << again.report;
  EXPECT_EQ(again.token, found.token);
}

TEST(ReplayTest, ChangedProgramIsRefusedAtTheFirstDifference) {
  const KeepAbandoned keep;
  const ExploreResult found =
      FindFailure({}, [](Sim& io) { RacyCounter(io, 2); });
  ASSERT_FALSE(found.ok());
  // The body sleeps before it starts the tasks: the third event is that it
  // cannot run, and not that a task can.
  const ExploreResult changed =
      FindFailure({.replay = found.token}, [](Sim& io) {
        EXPECT_TRUE(Sleep(io, 1ms).ok());
        RacyCounter(io, 2);
      });
  ASSERT_EQ(KindOf(changed), FailureKind::kDivergence);
  EXPECT_THAT(changed.failure->text,
              ::testing::StartsWith(
                  "the schedule is not the one that was recorded; first "
                  "difference at event 2, after 0 decisions\n"
                  "  expected: task 1 can run\n"
                  "  found:    task 0 waits or ends\n"
                  "  tasks that could run before: 0\n"));
  EXPECT_THAT(changed.failure->text, ::testing::HasSubstr("by address"));
}

TEST(ReplayTest, AnotherKindOfPointIsADifference) {
  const KeepAbandoned keep;
  const auto program = [](Sim& io, bool yield) {
    ExploredAtomic<int> word{0};
    auto task = Async(io, [&] { word.store(1); });
    yield ? io.Yield() : word.store(2);
    task.Await(io);
    io.ReportFailure("always");
  };
  const ExploreResult found =
      FindFailure({.strategy = "exhaustive"},
                  [&](Sim& io) { program(io, /*yield=*/false); });
  const ExploreResult changed = FindFailure(
      {.replay = found.token}, [&](Sim& io) { program(io, /*yield=*/true); });
  EXPECT_EQ(KindOf(changed), FailureKind::kDivergence) << changed.report;
}

TEST(ReplayTest, RepairedProgramIsNotASilentPass) {
  const auto program = [](Sim& io, bool broken) {
    CountedProgram(io, 3);
    if (broken) io.ReportFailure("broken");
  };
  const ExploreResult found =
      FindFailure({}, [&](Sim& io) { program(io, /*broken=*/true); });
  const ExploreResult repaired = FindFailure(
      {.replay = found.token}, [&](Sim& io) { program(io, false); });
  ASSERT_EQ(KindOf(repaired), FailureKind::kDivergence);
  EXPECT_EQ(repaired.failure->text,
            "the schedule ran as it was recorded, but there was no "
            "expectation");
}

TEST(ReplayTest, TokenThatCannotBeReadIsRefused) {
  for (const char* token :
       {"nonsense", "2:random:1:1:1:elp:deadlock",
        "2:random:1:1:1:elx:deadlock:+0", "2:random:1:1:1:lep:deadlock:+0",
        "2:random:xyz:1:1:elp:deadlock:+0", "2:random:1:1:1:elp:deadlock:+0q7",
        "2:random:1:1:1:elp:deadlock:+", "2:random:1:1:1:elp:deadlock:+0a.",
        "2:random:1:1:1:elp:deadlock:+0a.0",
        "2:random:1:1:1:elp:deadlock:+0a.4000000000",
        "2:random:1:1:1:elp:deadlock:+99999999999"}) {
    const ExploreResult result =
        FindFailure({.replay = token}, [](Sim&) { FAIL() << "it runs"; });
    EXPECT_EQ(KindOf(result), FailureKind::kOptions) << token;
    EXPECT_THAT(result.report,
                ::testing::HasSubstr("the replay token cannot be read: "));
  }
}

TEST(ReplayTest, TokenOfAnotherFormatIsRefused) {
  const ExploreResult result =
      FindFailure({.replay = "1:random:1:1:1:deadlock:+0"},
                  [](Sim&) { FAIL() << "it runs"; });
  EXPECT_EQ(KindOf(result), FailureKind::kOptions);
  EXPECT_EQ(result.report,
            "weft: sim: the replay token cannot be read: it is of version "
            "'1', and this program reads version '2'");
}

TEST(ReplayTest, TokenThatChoosesATaskThatIsNotThereIsRefused) {
  const KeepAbandoned keep;
  const ExploreResult result =
      FindFailure({.replay = "2:random:1:100:1000:elp:deadlock:+0+1s7"},
                  [](Sim& io) { CountedProgram(io, 1); });
  EXPECT_EQ(KindOf(result), FailureKind::kDivergence) << result.report;
}

TEST(TokenTest, TextAndBack) {
  Token token{.strategy = "pct3",
              .seed = 0xDEADBEEF,
              .unfair_steps = 5,
              .max_steps = 7,
              .switch_faults = {.late_results = false},
              .failure = "deadlock"};
  token.history.CanRun(0);
  token.history.CanRun(12);
  for (int i = 0; i < 4; ++i) token.history.Decide(PointKind::kAccess, 12);
  for (int i = 0; i < 2; ++i) token.history.Decide(PointKind::kWake, 0);
  token.history.CannotRun(12);
  const std::string text = token.ToString();
  EXPECT_EQ(text, "2:pct3:deadbeef:5:7:ep:deadlock:+0+12a12.4w0w-12");
  const absl::StatusOr<Token> parsed = Token::Parse(text);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->ToString(), text);
  EXPECT_EQ(parsed->history.events(), token.history.events());
  EXPECT_EQ(parsed->history.decisions(), 6u);
  EXPECT_TRUE(parsed->switch_faults.errno_marker);
  EXPECT_FALSE(parsed->switch_faults.late_results);
  EXPECT_TRUE(parsed->switch_faults.poison_stacks);
}

// --- Shrinking -------------------------------------------------------------

TEST(ShrinkTest, MakesTheScheduleShorter) {
  const auto body = [](Sim& io) { RacyCounter(io, 10); };
  const auto switches = [](const std::string& token) {
    const absl::StatusOr<Token> parsed = Token::Parse(token);
    uint32_t last = 0;
    size_t count = 0;
    for (const Event& event : parsed->history.events()) {
      if (!event.is_decision()) continue;
      count += event.task != last;
      last = event.task;
    }
    return count;
  };
  const ExploreResult whole =
      FindFailure({.strategy = "random", .shrink = false}, body);
  const ExploreResult shrunk = FindFailure({.strategy = "random"}, body);
  ASSERT_FALSE(whole.ok());
  ASSERT_FALSE(shrunk.ok());
  EXPECT_EQ(whole.schedules, shrunk.schedules);
  EXPECT_GE(switches(whole.token), 10u);
  // Into the one task and out of it again, between a load and its store.
  EXPECT_LE(switches(shrunk.token), 4u) << shrunk.report;
  const ExploreResult again = FindFailure({.replay = shrunk.token}, body);
  EXPECT_EQ(KindOf(again), FailureKind::kExpectation) << again.report;
}

}  // namespace
}  // namespace weft::sim
