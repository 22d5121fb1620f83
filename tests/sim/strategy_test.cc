// Strategies: what they find, and which schedules they try.
#include "weft/backends/sim/strategy.h"

#include <gtest/gtest.h>

#include <compare>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "weft/tests/sim/programs.h"

namespace weft::sim {
namespace {

using internal::ExploredAtomic;

class StrategyTest : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(All, StrategyTest,
                         ::testing::Values("portfolio", "random", "sticky",
                                           "alike", "pct", "pct2", "pct3",
                                           "uniform", "roundrobin",
                                           "exhaustive", "exhaustive1"));

TEST_P(StrategyTest, FindsALostUpdate) {
  const ExploreResult result =
      FindFailure({.schedules = 1'000, .strategy = GetParam()},
                  [](Sim& io) { RacyCounter(io, 3); });
  EXPECT_EQ(KindOf(result), FailureKind::kExpectation) << result.report;
}

TEST_P(StrategyTest, FindsNothingWhereNothingIsWrong) {
  const ExploreResult result = FindFailure(
      {.schedules = 1'000, .strategy = GetParam()}, RepairedCounter);
  EXPECT_TRUE(result.ok()) << result.report;
  EXPECT_GE(result.distinct, 3u);
}

TEST_P(StrategyTest, IsTheSameForTheSameSeed) {
  const auto explore = [&](uint64_t seed) {
    return FindFailure({.schedules = 50, .strategy = GetParam(), .seed = seed},
                       RepairedCounter);
  };
  const ExploreResult first = explore(3);
  const ExploreResult again = explore(3);
  EXPECT_EQ(first.points, again.points);
  EXPECT_EQ(first.distinct, again.distinct);
}

// The schedules of a task with `steps` accesses beside a body with as many
// after it has started it, counted by a model of both: a list of points each,
// and what the code between them does.
class Model {
 public:
  Model(int steps, int bound) : steps_(steps), bound_(bound) {}

  uint64_t Count() { return Count({}); }

 private:
  struct State {
    // The point at which each stands. The body: 0 after the start, accesses,
    // wait, return. The task: 0 not begun, accesses, return, wake.
    int body = 0;
    int task = 0;
    bool awaited = false;
    bool ended = false;
    bool parked = false;
    bool body_done = false;
    bool task_done = false;
    bool task_ran_last = false;
    int preemptions = 0;

    auto operator<=>(const State&) const = default;
  };

  void RunBody(State& s) const {
    const int wait = steps_ + 1;
    const int finish = steps_ + 2;
    if (s.body == finish) {
      s.body_done = true;
    } else if (s.body == wait && s.ended) {
      s.body = finish;
    } else if (s.body == wait) {
      s.parked = true;
    } else if (s.body == wait - 1 && s.ended) {
      s.body = finish;
    } else {
      ++s.body;
      if (s.body == wait) s.awaited = true;
    }
  }

  void RunTask(State& s) const {
    const int finish = steps_ + 1;
    if (s.task < finish) {
      ++s.task;
    } else if (s.task == finish) {
      s.ended = true;
      s.awaited ? static_cast<void>(++s.task)
                : static_cast<void>(s.task_done = true);
    } else {
      s.task_done = true;
      if (s.parked) {
        s.parked = false;
        s.body = steps_ + 2;
      }
    }
  }

  uint64_t Count(const State& s) {
    if (s.body_done && s.task_done) return 1;
    if (const auto known = known_.find(s); known != known_.end()) {
      return known->second;
    }
    const bool body_can = !s.body_done && !s.parked;
    const bool task_can = !s.task_done;
    uint64_t total = 0;
    for (const bool task : {false, true}) {
      if (!(task ? task_can : body_can)) continue;
      State next = s;
      const bool last_can = s.task_ran_last ? task_can : body_can;
      if (task != s.task_ran_last && last_can) ++next.preemptions;
      if (next.preemptions > bound_) continue;
      next.task_ran_last = task;
      task ? RunTask(next) : RunBody(next);
      // What follows a wake, and the end, is one step with it.
      total += Count(next);
    }
    return known_[s] = total;
  }

  const int steps_;
  const int bound_;
  std::map<State, uint64_t> known_;
};

TEST(ExhaustiveTest, TriesEverySchedulesOnce) {
  for (int steps = 0; steps <= 5; ++steps) {
    const ExploreResult result =
        FindFailure({.schedules = 1'000'000, .strategy = "exhaustive"},
                    [&](Sim& io) { CountedProgram(io, steps); });
    EXPECT_TRUE(result.ok()) << result.report;
    EXPECT_TRUE(result.complete);
    EXPECT_EQ(result.schedules, Model(steps, 1'000).Count()) << steps;
    EXPECT_EQ(result.distinct, result.schedules);
  }
}

TEST(ExhaustiveTest, KeepsTheBoundOnPreemptions) {
  for (int bound = 0; bound <= 4; ++bound) {
    const ExploreResult result =
        FindFailure({.schedules = 1'000'000,
                     .strategy = "exhaustive" + std::to_string(bound)},
                    [&](Sim& io) { CountedProgram(io, 4); });
    EXPECT_TRUE(result.complete);
    EXPECT_EQ(result.schedules, Model(4, bound).Count()) << bound;
    EXPECT_EQ(result.distinct, result.schedules);
  }
}

TEST(ExhaustiveTest, TasksMayDrawRandomNumbers) {
  const ExploreResult result = FindFailure(
      {.schedules = 100'000, .strategy = "exhaustive"},
      [](Sim& io) { CountedProgram(io, static_cast<int>(io.Random() % 3)); });
  EXPECT_TRUE(result.ok()) << result.report;
  EXPECT_TRUE(result.complete);
}

TEST(ExhaustiveTest, IsNotCompleteIfItWasStopped) {
  const ExploreResult result =
      FindFailure({.schedules = 10, .strategy = "exhaustive"},
                  [&](Sim& io) { CountedProgram(io, 5); });
  EXPECT_EQ(result.schedules, 10u);
  EXPECT_FALSE(result.complete);
}

TEST(ExhaustiveTest, IsNotCompleteIfASchedulesTurnedFair) {
  const ExploreResult result = FindFailure(
      {.schedules = 100'000, .strategy = "exhaustive", .unfair_steps = 8},
      [&](Sim& io) { CountedProgram(io, 5); });
  EXPECT_TRUE(result.ok()) << result.report;
  EXPECT_LT(result.schedules, 100'000u);
  EXPECT_FALSE(result.complete);
}

// Two steps of one task have to come between two of any of fifty others.
TEST(AlikeTest, GetsOneTaskPastACrowd) {
  const ExploreResult result = FindFailure(
      {.schedules = 500, .strategy = "alike", .shrink = false}, [](Sim& io) {
        constexpr int kCrowd = 50;
        ExploredAtomic<int> begun{0};
        ExploredAtomic<int> done{0};
        const auto work = [&] {
          begun.fetch_add(1);
          done.fetch_add(1);
        };
        std::vector<Future<void, Sim>> crowd;
        crowd.reserve(kCrowd);
        for (int i = 0; i < kCrowd; ++i) {
          crowd.push_back(Async(io, std::ref(work)));
        }
        auto observer = Async(io, [&] {
          if (begun.load() == 1 && done.load() == 0) {
            io.ReportFailure("seen between the two steps of the first");
          }
        });
        for (auto& task : crowd) task.Await(io);
        observer.Await(io);
      });
  EXPECT_EQ(KindOf(result), FailureKind::kExpectation) << result.report;
}

// A loop that waits for a flag ends, because a schedule turns fair.
TEST(FairnessTest, EveryTaskRunsInTheEnd) {
  for (const char* strategy : {"pct", "exhaustive0", "portfolio"}) {
    const ExploreResult result = FindFailure(
        {.schedules = 20, .strategy = strategy, .unfair_steps = 500},
        [](Sim& io) {
          ExploredAtomic<bool> flag{false};
          auto setter = Async(io, [&] { flag.store(true); });
          auto waiter = Async(io, [&] {
            while (!flag.load()) {
            }
          });
          while (!flag.load()) {
          }
        });
    EXPECT_TRUE(result.ok()) << result.report;
  }
}

}  // namespace
}  // namespace weft::sim
