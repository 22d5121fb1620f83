// Sim as a backend: virtual time, who runs when, what it refuses.
#include "weft/backends/sim/sim.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "weft/runtime/fiber/internal/sanitizer.h"
#include "weft/runtime/future.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/task_group.h"
#include "weft/tests/sim/programs.h"
#include "weft/tests/switch/pretend_shadow_stack.h"

namespace weft {
namespace {

using namespace std::chrono_literals;
using absl::StatusCode;
using sim::StrayTask;

static_assert(Backend<Sim>);

std::unique_ptr<Sim> MakeSim(const SimOptions& options = {}) {
  absl::StatusOr<std::unique_ptr<Sim>> sim = Sim::Create({}, options);
  EXPECT_TRUE(sim.ok()) << sim.status();
  return *std::move(sim);
}

// Runs `fn(io)` in one schedule.
template <class Fn>
void RunInSim(Fn fn, const SimOptions& options = {}) {
  const absl::Status status = MakeSim(options)->Run(fn);
  EXPECT_TRUE(status.ok()) << status;
}

class SimDeathTest : public testing::Test {
 protected:
  SimDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST(SimTest, SleepTakesVirtualTimeOnly) {
  RunInSim([](Sim& io) {
    const MonotonicTime start = io.Now();
    const WallTime wall_start = io.WallNow();
    EXPECT_TRUE(Sleep(io, 24h * 365).ok());
    EXPECT_EQ(io.Now() - start, 24h * 365);
    EXPECT_EQ(io.WallNow() - wall_start, 24h * 365);
  });
}

TEST(SimTest, ClockStandsStillWhileATaskRuns) {
  RunInSim([](Sim& io) {
    const MonotonicTime start = io.Now();
    for (int i = 0; i < 1000; ++i) io.Yield();
    EXPECT_EQ(io.Now(), start);
  });
}

TEST(SimTest, EveryRunBeginsAtTheSameTime) {
  const std::unique_ptr<Sim> sim = MakeSim();
  std::set<MonotonicTime> starts;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(sim->Run([&](Sim& io) {
                     starts.insert(io.Now());
                     return Sleep(io, 1s);
                   })
                    .ok());
  }
  EXPECT_EQ(starts.size(), 1u);
}

TEST(SimTest, TimersFireInTheOrderOfTheirTimes) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    RunInSim(
        [](Sim& io) {
          std::vector<int> order;
          TaskGroup<Sim> group(io);
          for (const int ms : {5, 1, 3, 4, 2}) {
            group.Spawn([&order, ms](Sim& own) {
              EXPECT_TRUE(Sleep(own, std::chrono::milliseconds(ms)).ok());
              order.push_back(ms);
            });
          }
          EXPECT_TRUE(group.Await(io).ok());
          EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 4, 5}));
        },
        {.seed = seed});
  }
}

TEST(SimTest, TimersOfOneTimeFireInAnyOrder) {
  std::set<std::string> orders;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    RunInSim(
        [&](Sim& io) {
          std::vector<int> order;
          TaskGroup<Sim> group(io);
          for (int i = 0; i < 3; ++i) {
            group.Spawn([&order, i](Sim& own) {
              EXPECT_TRUE(Sleep(own, 1ms).ok());
              order.push_back(i);
            });
          }
          EXPECT_TRUE(group.Await(io).ok());
          orders.insert(absl::StrJoin(order, ""));
        },
        {.seed = seed});
  }
  EXPECT_EQ(orders.size(), 6u);
}

TEST(SimTest, DeadlineOfAScopeEndsASleepOnTime) {
  RunInSim([](Sim& io) {
    const MonotonicTime start = io.Now();
    const Deadline deadline(io, 30ms);
    EXPECT_EQ(Sleep(io, 1h).code(), StatusCode::kDeadlineExceeded);
    EXPECT_TRUE(deadline.fired());
    EXPECT_EQ(io.Now() - start, 30ms);
  });
}

TEST(SimTest, FutexWaitTellsWhyItReturned) {
  RunInSim([](Sim& io) {
    const std::atomic<uint32_t> word{1};
    const MonotonicTime start = io.Now();
    EXPECT_EQ(io.FutexWait(word, 0, {}), WakeReason::kValueDiffered);
    EXPECT_EQ(io.FutexWait(word, 1, {.deadline = start + 5ms}),
              WakeReason::kDeadline);
    EXPECT_EQ(io.Now() - start, 5ms);
    // In the past.
    EXPECT_EQ(io.FutexWait(word, 1, {.deadline = start}),
              WakeReason::kDeadline);
    {
      const Deadline deadline(io, 5ms);
      EXPECT_EQ(io.FutexWait(word, 1, {}), WakeReason::kInterrupted);
      EXPECT_EQ(io.Now() - start, 10ms);
      EXPECT_EQ(
          io.FutexWait(word, 1,
                       {.deadline = start + 20ms, .interruptible = false}),
          WakeReason::kDeadline);
    }
    auto waiter = Async(io, [&] { return io.FutexWait(word, 1, {}); });
    EXPECT_TRUE(Sleep(io, 1ms).ok());
    EXPECT_EQ(io.FutexWake(word, 5), 1u);
    EXPECT_EQ(waiter.Await(io), WakeReason::kWoken);
  });
}

TEST(SimTest, WaitersOfAWordWakeInTheOrderInWhichTheyCame) {
  RunInSim([](Sim& io) {
    const std::atomic<uint32_t> word{0};
    std::vector<int> order;
    TaskGroup<Sim> group(io);
    for (int i = 0; i < 10; ++i) {
      group.Spawn([&, i](Sim& own) {
        EXPECT_EQ(own.FutexWait(word, 0, {}), WakeReason::kWoken);
        order.push_back(i);
      });
      EXPECT_TRUE(Sleep(io, 1ms).ok());
    }
    for (size_t woken = 1; woken <= 10; ++woken) {
      EXPECT_EQ(io.FutexWake(word, 1), 1u);
      EXPECT_TRUE(Sleep(io, 1ms).ok());
      EXPECT_EQ(order.size(), woken);
    }
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
    EXPECT_TRUE(group.Await(io).ok());
  });
}

// Code that polls waits for time to pass.
TEST(SimTest, TimePassesForTasksThatOnlyYield) {
  RunInSim([](Sim& io) {
    auto sleeper = Async(io, [&] { return Sleep(io, 1h); });
    auto poller = Async(io, [&] {
      while (!sleeper.ready()) io.Yield();
    });
    while (!sleeper.ready()) io.Yield();
    poller.Await(io);
    EXPECT_TRUE(sleeper.Await(io).ok());
  });
}

TEST(SimTest, CancelEndsAWait) {
  RunInSim([](Sim& io) {
    auto sleeper = Async(io, [&] { return Sleep(io, 1h); });
    EXPECT_TRUE(Sleep(io, 1s).ok());
    sleeper.Cancel();
    EXPECT_EQ(sleeper.Await(io).code(), StatusCode::kCancelled);
  });
}

// What a schedule did, as text.
std::string OrderOf(Sim& sim) {
  std::string order;
  EXPECT_TRUE(sim.Run([&](Sim& io) {
                   TaskGroup<Sim> group(io);
                   for (const char name : {'a', 'b', 'c'}) {
                     group.Spawn([&order, name](Sim& own) {
                       for (int i = 0; i < 5; ++i) {
                         order += name;
                         own.Yield();
                       }
                     });
                   }
                   EXPECT_TRUE(group.Await(io).ok());
                   order += std::to_string(io.Random());
                 })
                  .ok());
  return order;
}

TEST(SimTest, EverythingFollowsFromTheSeed) {
  const std::string first = OrderOf(*MakeSim({.seed = 7}));
  EXPECT_EQ(OrderOf(*MakeSim({.seed = 7})), first);
  EXPECT_NE(OrderOf(*MakeSim({.seed = 8})), first);
  // The next Run is another schedule.
  const std::unique_ptr<Sim> sim = MakeSim({.seed = 7});
  EXPECT_EQ(OrderOf(*sim), first);
  EXPECT_NE(OrderOf(*sim), first);
}

TEST(SimTest, RunReturnsWhatTheFunctionReturned) {
  const std::unique_ptr<Sim> sim = MakeSim();
  EXPECT_TRUE(sim->Run([] {}).ok());
  EXPECT_EQ(sim->Run([] { return 7; }).value(), 7);
  EXPECT_EQ(sim->Run([] { return absl::NotFoundError("gone"); }),
            absl::NotFoundError("gone"));
  EXPECT_THROW((void)sim->Run([] { throw std::logic_error("root"); }),
               std::logic_error);
}

TEST(SimTest, TasksPastTheLimitAreRefused) {
  Options options;
  options.max_tasks = 2;
  const auto sim = Sim::Create(options);
  ASSERT_TRUE(sim.ok());
  EXPECT_TRUE((*sim)
                  ->Run([](Sim& io) {
                    auto first = Concurrent(io, [&] { return Sleep(io, 1s); });
                    ASSERT_TRUE(first.ok());
                    EXPECT_EQ(Concurrent(io, [] {}).status().code(),
                              StatusCode::kResourceExhausted);
                    EXPECT_TRUE(first->Await(io).ok());
                    EXPECT_TRUE(Concurrent(io, [] {}).ok());
                  })
                  .ok());
}

TEST(SimTest, ManyTasksRunAtOnce) {
  RunInSim([](Sim& io) {
    int ended = 0;
    TaskGroup<Sim> group(io);
    for (int i = 0; i < 500; ++i) {
      group.Spawn([&](Sim& own) {
        EXPECT_TRUE(Sleep(own, 1ms).ok());
        ++ended;
      });
    }
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_EQ(ended, 500);
  });
}

TEST(SimTest, NoDescriptorBelongsToIt) {
  RunInSim([](Sim& io) {
    EXPECT_EQ(io.Perform(op::Sync{.fd = 0}), -EBADF);
    CancelScope scope(io);
    scope.Cancel();
    EXPECT_EQ(io.Perform(op::Sync{.fd = 0}), -ECANCELED);
  });
}

TEST(SimTest, OptionsThatAreImpossibleAreRefused) {
  EXPECT_EQ(Sim::Create({}, {.strategy = "best"}).status().code(),
            StatusCode::kInvalidArgument);
  Options options;
  options.workers = 2;
  EXPECT_EQ(Sim::Create(options).status(),
            absl::InvalidArgumentError(
                "option workers: does not apply to the sim backend"));
  options = {};
  options.stack_size = 100;
  EXPECT_EQ(Sim::Create(options).status().code(), StatusCode::kInvalidArgument);
}

#if defined(__x86_64__)
// S9
TEST(SimTest, ThreadWithShadowStackIsRefused) {
  if (internal::RunsOnValgrind()) GTEST_SKIP() << "it answers for the kernel";
  const auto refused_with_shadow_stack = [] {
    switches::PretendShadowStack();
    const absl::Status status = Sim::Create().status();
    _exit(status.code() == StatusCode::kFailedPrecondition ? 0 : 1);
  };
  EXPECT_EXIT(refused_with_shadow_stack(), testing::ExitedWithCode(0), "");
}
#endif

TEST(SimTest, SaysWhatItIs) {
  const Description description = MakeSim({.seed = 5})->Describe();
  EXPECT_EQ(description.backend, "sim");
  EXPECT_EQ(description.workers, 1u);
  EXPECT_EQ(description.details, "seed 5");
}

// --- What ends the program -------------------------------------------------

TEST_F(SimDeathTest, DeadlockNamesTheTasksAndWhatTheyWaitFor) {
  EXPECT_DEATH(RunInSim([](Sim& io) {
                 const std::atomic<uint32_t> word{0};
                 auto future = Async(io, {.name = "reader"},
                                     [&] { return io.FutexWait(word, 0, {}); });
                 future.Await(io);
               }),
               "weft: sim: deadlock at step .*seed 1: deadlock: 2 tasks wait"
               "(.|\n)*0 'main' waits for the end of task 1 'reader' .*, since "
               "step(.|\n)*1 'reader' .* waits on word #");
}

TEST_F(SimDeathTest, LoopThatWaitsForTheClockIsALivelock) {
  EXPECT_DEATH(RunInSim(
                   [](Sim& io) {
                     const MonotonicTime end = io.Now() + 1s;
                     while (io.Now() < end) {
                     }
                   },
                   {.max_steps = 10'000}),
               "weft: sim: livelock.*task 0 'main' reads the clock again and "
               "again");
}

TEST_F(SimDeathTest, LoopThatWaitsForAFlagIsALivelock) {
  EXPECT_DEATH(RunInSim(
                   [](Sim& io) {
                     internal::ExploredAtomic<bool> flag{false};
                     auto setter = Async(io, [&] {
                       EXPECT_TRUE(Sleep(io, 1ms).ok());
                       flag.store(true);
                     });
                     while (!flag.load()) {
                     }
                   },
                   {.max_steps = 10'000}),
               "weft: sim: livelock.*does not end within 10000 steps(.|\n)*0 "
               "'main' runs(.|\n)*1 'main' .* sleeps");
}

TEST_F(SimDeathTest, TaskThatOutlivesTheRootIsReported) {
  EXPECT_DEATH(RunInSim([](Sim& io) {
                 const internal::TaskPointer<StrayTask> task(new StrayTask(io));
                 EXPECT_TRUE(io.Start(*task).ok());
               }),
               "weft: sim: leak.*the body has returned, and task 1 'stray' "
               "still runs");
}

TEST_F(SimDeathTest, UseOnAnotherThreadIsMisuse) {
  EXPECT_DEATH(
      RunInSim([](Sim& io) { std::thread([&] { io.Yield(); }).join(); }),
      "weft: misuse: Yield was called with a Sim outside of its tasks");
}

TEST_F(SimDeathTest, UseOutsideOfItsTasksIsMisuse) {
  EXPECT_DEATH(
      (void)Sleep(*MakeSim(), 1s),
      "weft: misuse: Sleep was called with a Sim outside of its tasks");
}

TEST_F(SimDeathTest, RunInATaskIsMisuse) {
  EXPECT_DEATH(RunInSim([](Sim& io) { (void)io.Run([] {}); }),
               "weft: misuse: Sim::Run was called in a task of Sim");
}

TEST_F(SimDeathTest, RunOnTwoThreadsIsMisuse) {
  EXPECT_DEATH(RunInSim([](Sim& io) {
                 std::thread([&] { (void)io.Run([] {}); }).join();
               }),
               "weft: misuse: Sim::Run was called while another thread is in");
}

TEST_F(SimDeathTest, FailedCheckEndsTheProgram) {
  EXPECT_DEATH(RunInSim([](Sim& io) {
                 auto future = Async(io, [] {});
                 future.Await(io);
                 future.Await(io);
               }),
               "weft: misuse: Await on an empty Future");
}

}  // namespace
}  // namespace weft
