#include "weft/sync/once.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>

#include "weft/runtime/future.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/event.h"
#include "weft/tests/conformance/backends.h"

namespace weft {
namespace {

using testing::RunOn;
using testing::YieldUntil;
using namespace std::chrono_literals;

template <class Config>
class OnceTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(OnceTest, testing::Backends, testing::BackendNames);

// The use that the header shows.
TYPED_TEST(OnceTest, FunctionRunsOnceAndAllSeeWhatItDid) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Once<B> opened;
    std::optional<std::string> store;
    int runs = 0;
    TaskGroup<B> group(io);
    for (int task = 0; task < 8; ++task) {
      group.Spawn([&](B& own) -> absl::Status {
        for (int round = 0; round < 10; ++round) {
          absl::Status status = opened.Run(own, [&](B& inner) -> absl::Status {
            ++runs;
            absl::Status slept = Sleep(inner, 1ms);
            store = "open";
            return slept;
          });
          if (!status.ok()) return status;
          EXPECT_EQ(*store, "open");
        }
        return absl::OkStatus();
      });
    }
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_EQ(runs, 1);
    EXPECT_TRUE(opened.done());
    EXPECT_EQ(opened.waiters(), 0u);
  });
}

TYPED_TEST(OnceTest, AfterAnErrorTheNextTries) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Once<B> once;
    const absl::Status failed =
        once.Run(io, [] { return absl::NotFoundError("no such store"); });
    EXPECT_TRUE(absl::IsNotFound(failed));
    EXPECT_FALSE(once.done());
    EXPECT_TRUE(once.Run(io, [] {}).ok());
    EXPECT_TRUE(once.done());
    EXPECT_TRUE(once.Run(io, [] { ADD_FAILURE(); }).ok());
  });
}

TYPED_TEST(OnceTest, AfterAnExceptionAWaiterTries) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Once<B> once;
    std::atomic<int> runs = 0;
    std::atomic<bool> running = false;
    auto first = Async(io, [&](B& own) {
      return once.Run(own, [&] {
        running = true;
        YieldUntil(own, [&] { return once.waiters() == 2; });
        ++runs;
        throw std::runtime_error("first");
      });
    });
    YieldUntil(io, [&] { return running.load(); });
    TaskGroup<B> group(io);
    for (int i = 0; i < 2; ++i) {
      group.Spawn([&](B& own) { return once.Run(own, [&] { ++runs; }); });
    }
    EXPECT_THROW((void)first.Await(io), std::runtime_error);
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_EQ(runs, 2);
  });
}

TYPED_TEST(OnceTest, AfterACancelOfTheRunnerAWaiterTries) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Once<B> once;
    Event<B> never;
    std::atomic<bool> running = false;
    auto runner = Async(io, [&](B& own) {
      return once.Run(own, [&](B& inner) {
        running = true;
        return never.Wait(inner);
      });
    });
    YieldUntil(io, [&] { return running.load(); });
    auto waiter = Async(io, [&](B& own) { return once.Run(own, [] {}); });
    YieldUntil(io, [&] { return once.waiters() == 1; });
    runner.Cancel();
    EXPECT_TRUE(absl::IsCancelled(runner.Await(io)));
    EXPECT_TRUE(waiter.Await(io).ok());
    EXPECT_TRUE(once.done());
  });
}

TYPED_TEST(OnceTest, WaiterGivesUpWithTheExactReason) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Once<B> once;
    Event<B> finish;
    std::atomic<bool> running = false;
    auto runner = Async(io, [&](B& own) {
      return once.Run(own, [&](B& inner) {
        running = true;
        return finish.Wait(inner);
      });
    });
    YieldUntil(io, [&] { return running.load(); });
    const auto run = [](B&) { ADD_FAILURE(); };
    const MonotonicTime start = io.Now();
    EXPECT_TRUE(absl::IsDeadlineExceeded(once.RunFor(io, 2ms, run)));
    EXPECT_GE(io.Now() - start, 2ms);
    auto waiter = Async(io, [&](B& own) { return once.Run(own, run); });
    YieldUntil(io, [&] { return once.waiters() == 1; });
    waiter.Cancel();
    EXPECT_TRUE(absl::IsCancelled(waiter.Await(io)));
    EXPECT_EQ(once.waiters(), 0u);
    finish.Set(io);
    EXPECT_TRUE(runner.Await(io).ok());
  });
}

TYPED_TEST(OnceTest, CancelledScopeRunsNothingButSeesWhatIsDone) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Once<B> once;
    {
      CancelScope scope(io);
      scope.Cancel();
      EXPECT_TRUE(absl::IsCancelled(once.Run(io, [] { ADD_FAILURE(); })));
    }
    EXPECT_TRUE(once.Run(io, [] {}).ok());
    CancelScope scope(io);
    scope.Cancel();
    EXPECT_TRUE(once.Run(io, [] {}).ok());
  });
}

// C5: the one whose turn it is after a failure is cancelled at that moment:
// the turn goes on to the next.
TYPED_TEST(OnceTest, TurnIsNotLostToACancel) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (int round = 0; round < 200; ++round) {
      Once<B> once;
      std::atomic<bool> fail = false;
      auto runner = Async(io, [&](B& own) {
        return once.Run(own, [&]() -> absl::Status {
          YieldUntil(own, [&] { return fail.load(); });
          return absl::AbortedError("first");
        });
      });
      const auto run = [&](B& own) { return once.Run(own, [] {}); };
      // The first of the two may come before the runner.
      auto first = Async(io, run);
      auto second = Async(io, run);
      for (int i = 0; i < round % 4; ++i) io.Yield();
      fail = true;
      first.Cancel();
      const absl::Status status = first.Await(io);
      EXPECT_TRUE(status.ok() || absl::IsCancelled(status));
      EXPECT_TRUE(second.Await(io).ok());
      const absl::Status ran = runner.Await(io);
      EXPECT_TRUE(ran.ok() || absl::IsAborted(ran));
      EXPECT_TRUE(once.done());
    }
  });
}

// Functions that fail in all ways, waiters that give up in all ways: one run
// at a time, and exactly one that succeeds.
TYPED_TEST(OnceTest, Stress) {
  using B = typename TypeParam::Io;
  const testing::Seed seed;
  RunOn<TypeParam>([&](B& io) {
    for (uint32_t round = 0; round < 60; ++round) {
      Once<B> once;
      std::atomic<int> running = 0;
      std::atomic<int> succeeded = 0;
      TaskGroup<B> group(io);
      for (uint32_t task = 0; task < 6; ++task) {
        group.Spawn([&, round, task](B& own) {
          std::mt19937 random = seed.GeneratorFor(round * 6 + task);
          const auto fn = [&](B& inner) -> absl::Status {
            EXPECT_EQ(++running, 1);
            inner.Yield();
            EXPECT_EQ(--running, 0);
            const auto kind = random() % 4;
            if (kind == 0) throw std::runtime_error("kind 0");
            if (kind != 3) return absl::AbortedError("kind 1 or 2");
            ++succeeded;
            return absl::OkStatus();
          };
          absl::Status status = absl::UnknownError("not tried");
          for (uint32_t most = 100; !status.ok(); most += 100) {
            // Longer and longer: the slower the machine, the more is needed.
            const std::chrono::microseconds span(random() % most);
            Deadline deadline(own, span);
            try {
              status = once.Run(own, fn);
            } catch (const std::runtime_error&) {
            }
          }
        });
      }
      EXPECT_TRUE(group.Await(io).ok());
      EXPECT_EQ(succeeded, 1);
      EXPECT_EQ(once.waiters(), 0u);
    }
  });
}

template <class Config>
using OnceDeathTest = OnceTest<Config>;
TYPED_TEST_SUITE(OnceDeathTest, testing::Backends, testing::BackendNames);

TYPED_TEST(OnceDeathTest, FunctionMayNotRunTheSameOnce) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) {
                 Once<B> once;
                 (void)once.Run(io, [&] { return once.Run(io, [] {}); });
               }),
               "weft: misuse: Once::Run by the function");
}

TYPED_TEST(OnceDeathTest, MayNotBeDestroyedWhileItRuns) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) {
                 std::optional<Once<B>> once(std::in_place);
                 (void)once->Run(io, [&] { once.reset(); });
               }),
               "weft: misuse: a Once was destroyed while");
}

}  // namespace
}  // namespace weft
