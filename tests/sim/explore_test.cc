// Explorations: how failures are reported, options, and GoogleTest.
#include "weft/backends/sim/explore.h"

#include <gmock/gmock.h>
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>

#include "weft/backends/sim/gtest.h"
#include "weft/runtime/scope.h"
#include "weft/tests/sim/abandoned.h"
#include "weft/tests/sim/programs.h"

namespace weft::sim {
namespace {

using internal::ExploredAtomic;

TEST(FailureTest, DeadlockIsReportedWithTheTasksThatWait) {
  const KeepAbandoned keep;
  const ExploreResult result = FindFailure({}, OppositeLocks);
  ASSERT_EQ(KindOf(result), FailureKind::kDeadlock) << result.report;
  EXPECT_EQ(result.failure->text,
            "deadlock: 3 tasks wait, and nothing can ever wake one");
  const std::string waits =
      " [(].*programs.h:[0-9]+[)] waits for the inner lock of a primitive, "
      "#[0-9]+, since step [0-9]+\n";
  EXPECT_THAT(
      result.failure->tasks,
      ::testing::MatchesRegex(
          "  0 'body' waits for the end of task 1 'ab' .*, since step [0-9]+\n"
          "    1 'ab'" +
          waits + "        task 2 'ba' .* holds it\n    2 'ba'" + waits +
          "        task 1 'ab' .* holds it"));
}

TEST(FailureTest, LivelockNamesTheLoop) {
  const KeepAbandoned keep;
  const ExploreResult result = FindFailure({.max_steps = 20'000}, [](Sim& io) {
    ExploredAtomic<bool> flag{false};
    auto waiter = Async(io, {.name = "waiter"}, [&] {
      while (!flag.load()) {
      }
    });
    waiter.Await(io);
  });
  ASSERT_EQ(KindOf(result), FailureKind::kLivelock) << result.report;
  EXPECT_THAT(result.failure->text,
              ::testing::ContainsRegex("does not end within 20000 steps; in "
                                       "the last 40 steps: task 1 'waiter': "
                                       "access #[0-9]+ 40 times"));
}

TEST(FailureTest, ExceptionThatLeavesTheBodyIsReported) {
  const ExploreResult result = FindFailure(
      {}, [](Sim&) { throw std::runtime_error("thrown by the body"); });
  ASSERT_EQ(KindOf(result), FailureKind::kException);
  EXPECT_EQ(result.failure->text,
            "an exception left the body: thrown by the body");
}

TEST(FailureTest, MisuseIsReportedAndTheProgramGoesOn) {
  const KeepAbandoned keep;
  const ExploreResult result = FindFailure({}, [](Sim& io) {
    auto future = Async(io, {.name = "awaited"}, [] {});
    future.Await(io);
    future.Await(io);
  });
  ASSERT_EQ(KindOf(result), FailureKind::kCheck);
  EXPECT_THAT(result.failure->text,
              ::testing::HasSubstr("weft: misuse: Await on an empty Future"));
  EXPECT_FALSE(result.token.empty());
}

TEST(FailureTest, TaskThatOutlivesTheBodyIsReported) {
  const KeepAbandoned keep;
  const ExploreResult result = FindFailure({}, [](Sim& io) {
    const internal::TaskPointer<StrayTask> task(new StrayTask(io));
    EXPECT_TRUE(io.Start(*task).ok());
  });
  ASSERT_EQ(KindOf(result), FailureKind::kLeakedTask);
  EXPECT_EQ(result.failure->text,
            "the body has returned, and task 1 'stray' still runs");
}

TEST(FailureTest, ReportHasTheTasksTheStepsAndTheToken) {
  const ExploreResult result =
      FindFailure({}, [](Sim& io) { RacyCounter(io, 2); });
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.report,
              ::testing::AllOf(
                  ::testing::StartsWith("weft: sim: expectation in schedule "),
                  ::testing::HasSubstr("an update was lost"),
                  ::testing::HasSubstr("\ntasks:\n  0 'body' runs\n"),
                  ::testing::ContainsRegex("0 body +1 first +2 second\n"),
                  ::testing::EndsWith("\nWEFT_REPLAY=" + result.token)));
}

TEST(FailureTest, BodyThatIsNotDeterministicIsTold) {
  int calls = 0;
  const ExploreResult result = FindFailure({}, [&](Sim& io) {
    if (++calls == 5) io.ReportFailure("the fifth call");
  });
  ASSERT_EQ(KindOf(result), FailureKind::kExpectation);
  EXPECT_EQ(result.failure->text,
            "the fifth call\nThis could not be repeated at once: the same "
            "schedule did not fail");
  EXPECT_EQ(result.token, "");
}

TEST(FailureTest, ExhaustiveSearchNoticesABodyThatChanges) {
  const KeepAbandoned keep;
  int calls = 0;
  const ExploreResult result =
      FindFailure({.strategy = "exhaustive"},
                  [&](Sim& io) { CountedProgram(io, ++calls == 1 ? 3 : 1); });
  EXPECT_EQ(KindOf(result), FailureKind::kDivergence) << result.report;
}

TEST(FailureTest, LimitThatIsImpossibleIsRefused) {
  const ExploreResult result =
      FindFailure({.max_tasks = 0}, [](Sim&) { FAIL() << "it runs"; });
  EXPECT_EQ(KindOf(result), FailureKind::kOptions);
}

// --- Options ---------------------------------------------------------------

class EnvironmentTest : public ::testing::Test {
 protected:
  ~EnvironmentTest() override {
    for (const char* name :
         {"WEFT_REPLAY", "WEFT_SIM_SCHEDULES", "WEFT_SIM_SEED",
          "WEFT_SIM_STRATEGY", "WEFT_SIM_TIME", "WEFT_SIM_FOO"}) {
      unsetenv(name);
    }
  }
  static void Set(const char* name, const std::string& value) {
    setenv(name, value.c_str(), /*overwrite=*/1);
  }
};

TEST_F(EnvironmentTest, OverridesTheOptions) {
  Set("WEFT_SIM_SCHEDULES", "17");
  EXPECT_EQ(FindFailure({}, RepairedCounter).schedules, 17u);
  Set("WEFT_SIM_STRATEGY", "exhaustive0");
  EXPECT_TRUE(FindFailure({}, [](Sim&) {}).complete);
  Set("WEFT_SIM_TIME", "1ns");
  EXPECT_EQ(FindFailure({}, RepairedCounter).schedules, 1u);
}

TEST_F(EnvironmentTest, SeedChangesTheSchedules) {
  Set("WEFT_SIM_STRATEGY", "random");
  uint64_t random = 0;
  const auto body = [&](Sim& io) { random = io.Random(); };
  FindFailure({.schedules = 1}, body);
  const uint64_t first = random;
  Set("WEFT_SIM_SEED", "2");
  FindFailure({.schedules = 1}, body);
  EXPECT_NE(random, first);
}

TEST_F(EnvironmentTest, ReplaysATokenInAnyExploration) {
  const auto body = [](Sim& io) { RacyCounter(io, 3); };
  const ExploreResult found = FindFailure({}, body);
  Set("WEFT_REPLAY", found.token);
  EXPECT_EQ(FindFailure({}, body).token, found.token);
}

TEST_F(EnvironmentTest, WhatIsImpossibleIsRefused) {
  for (const auto& [name, value] : {std::pair("WEFT_SIM_SCHEDULES", "many"),
                                    {"WEFT_SIM_SEED", "-1"},
                                    {"WEFT_SIM_STRATEGY", "best"},
                                    {"WEFT_SIM_STRATEGY", "pct0"},
                                    {"WEFT_SIM_TIME", "5"},
                                    {"WEFT_SIM_FOO", "FOO"}}) {
    Set(name, value);
    const ExploreResult result = FindFailure({}, [](Sim&) {});
    EXPECT_EQ(KindOf(result), FailureKind::kOptions) << name << "=" << value;
    EXPECT_THAT(result.report, ::testing::HasSubstr(value)) << result.report;
    unsetenv(name);
  }
}

// --- GoogleTest ------------------------------------------------------------

TEST(GoogleTestTest, FailedExpectationEndsTheExplorationAndFailsTheTest) {
  static ExploreResult result;
  EXPECT_NONFATAL_FAILURE(result = Explore({},
                                           [](Sim& io) {
                                             int counter = 0;
                                             const auto add = [&] {
                                               const int seen = counter;
                                               io.Yield();
                                               counter = seen + 1;
                                             };
                                             auto other = Async(io, add);
                                             add();
                                             other.Await(io);
                                             EXPECT_EQ(counter, 2)
                                                 << "updates lost";
                                           }),
                          "updates lost");
  EXPECT_FALSE(result.ok());
  EXPECT_THAT(result.failure->text,
              ::testing::AllOf(::testing::HasSubstr("explore_test.cc:"),
                               ::testing::HasSubstr("counter")));
}

TEST(GoogleTestTest, AssertionLeavesTheBody) {
  static bool went_on = false;
  EXPECT_NONFATAL_FAILURE(Explore({},
                                  [](Sim&) {
                                    ASSERT_TRUE(false) << "at once";
                                    went_on = true;
                                  }),
                          "at once");
  EXPECT_FALSE(went_on);
}

TEST(GoogleTestTest, ExplorationWithoutAFailurePasses) {
  const ExploreResult result =
      Explore({.schedules = 100}, [](Sim& io) { RepairedCounter(io); });
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(result.schedules, 100u);
  EXPECT_THAT(result.report,
              ::testing::StartsWith("weft: sim: no failure in 100 schedules"));
}

}  // namespace
}  // namespace weft::sim
