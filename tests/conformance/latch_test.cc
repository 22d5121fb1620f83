#include "weft/sync/latch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <random>
#include <thread>

#include "weft/runtime/future.h"
#include "weft/runtime/task_group.h"
#include "weft/tests/conformance/backends.h"

namespace weft {
namespace {

using testing::MakeIo;
using testing::RunOn;
using testing::RunOnInstance;
using testing::YieldUntil;
using namespace std::chrono_literals;

template <class Config>
class LatchTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(LatchTest, testing::Backends, testing::BackendNames);

// What needs the kernel or threads of the host program.
template <class Config>
using LatchKernelTest = LatchTest<Config>;
TYPED_TEST_SUITE(LatchKernelTest, testing::KernelBackends,
                 testing::BackendNames);

TYPED_TEST(LatchTest, WaitReturnsAtOnceAtZero) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Latch<B> none(0);
    EXPECT_TRUE(none.Wait(io).ok());
    Latch<B> latch(3);
    latch.CountDown(io, 2);
    latch.CountDown(io, 0);
    EXPECT_EQ(latch.count(), 1u);
    latch.CountDown(io);
    EXPECT_EQ(latch.count(), 0u);
    EXPECT_TRUE(latch.Wait(io).ok());
    EXPECT_TRUE(latch.WaitFor(io, 0ns).ok());
  });
}

// The use that the header shows.
TYPED_TEST(LatchTest, WaiterSeesWhatAllWorkersDid) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    constexpr uint32_t kWorkers = 6;
    Latch<B> ready(kWorkers);
    int results[kWorkers] = {};
    TaskGroup<B> group(io);
    for (uint32_t i = 0; i < kWorkers; ++i) {
      group.Spawn([&, i](B& own) {
        YieldUntil(own, [&] { return ready.waiters() == 1; });
        results[i] = 1;
        ready.CountDown(own);
      });
    }
    EXPECT_TRUE(ready.Wait(io).ok());
    for (const int result : results) EXPECT_EQ(result, 1);
    EXPECT_TRUE(group.Await(io).ok());
  });
}

TYPED_TEST(LatchTest, AllWaitersAreLetGo) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Latch<B> latch(2);
    TaskGroup<B> group(io);
    for (int i = 0; i < 10; ++i) {
      group.Spawn([&](B& own) { return latch.Wait(own); });
    }
    YieldUntil(io, [&] { return latch.waiters() == 10; });
    latch.CountDown(io);
    for (int i = 0; i < 5; ++i) io.Yield();
    EXPECT_EQ(latch.waiters(), 10u);
    latch.CountDown(io);
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_EQ(latch.waiters(), 0u);
  });
}

TYPED_TEST(LatchTest, ReasonForReturningIsExact) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Latch<B> latch(1);
    const MonotonicTime start = io.Now();
    const absl::Status late = latch.WaitFor(io, 2ms);
    EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;
    EXPECT_GE(io.Now() - start, 2ms);
    auto waiter = Async(io, [&](B& own) { return latch.Wait(own); });
    auto other = Async(io, [&](B& own) { return latch.Wait(own); });
    YieldUntil(io, [&] { return latch.waiters() == 2; });
    waiter.Cancel();
    EXPECT_TRUE(absl::IsCancelled(waiter.Await(io)));
    EXPECT_EQ(latch.waiters(), 1u);
    latch.CountDown(io);
    EXPECT_TRUE(other.Await(io).ok());
    CancelScope scope(io);
    scope.Cancel();
    EXPECT_TRUE(absl::IsCancelled(latch.Wait(io)));
  });
}

TYPED_TEST(LatchKernelTest, AnyThreadMayCountDown) {
  using B = typename TypeParam::Io;
  const std::unique_ptr<B> io = MakeIo<TypeParam>();
  Latch<B> latch(1);
  std::thread counter([&] {
    while (latch.waiters() == 0) std::this_thread::yield();
    latch.CountDown(*io);
  });
  RunOnInstance(*io, [&](B& own) { EXPECT_TRUE(latch.Wait(own).ok()); });
  counter.join();
}

TYPED_TEST(LatchTest, WaiterMayDestroyIt) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (int round = 0; round < 300; ++round) {
      TaskGroup<B> group(io);
      auto latch = std::make_unique<Latch<B>>(2);
      for (int i = 0; i < 2; ++i) {
        group.Spawn(
            [counted = latch.get()](B& own) { counted->CountDown(own); });
      }
      EXPECT_TRUE(latch->Wait(io).ok());
      latch.reset();
      EXPECT_TRUE(group.Await(io).ok());
    }
  });
}

// Waiters with deadlines and cancels while others count down: OK is returned
// only at zero, and whoever waits without a limit gets through.
TYPED_TEST(LatchTest, Stress) {
  using B = typename TypeParam::Io;
  const testing::Seed seed;
  RunOn<TypeParam>([&](B& io) {
    for (uint32_t round = 0; round < 50; ++round) {
      Latch<B> latch(8);
      TaskGroup<B> counters(io);
      TaskGroup<B> waiters(io);
      for (uint32_t task = 0; task < 4; ++task) {
        counters.Spawn([&](B& own) {
          latch.CountDown(own);
          own.Yield();
          latch.CountDown(own);
        });
        waiters.Spawn([&, task](B& own) {
          std::mt19937 random = seed.GeneratorFor(round * 4 + task);
          while (task != 0 && random() % 4 != 0) {
            const Duration span = std::chrono::microseconds(random() % 30);
            const absl::Status status = latch.WaitFor(own, span);
            EXPECT_TRUE(absl::IsDeadlineExceeded(status) || latch.count() == 0);
          }
          EXPECT_TRUE(latch.Wait(own).ok());
          EXPECT_EQ(latch.count(), 0u);
        });
      }
      EXPECT_TRUE(waiters.Await(io).ok());
      EXPECT_TRUE(counters.Await(io).ok());
      EXPECT_EQ(latch.waiters(), 0u);
    }
  });
}

template <class Config>
using LatchDeathTest = LatchTest<Config>;
TYPED_TEST_SUITE(LatchDeathTest, testing::Backends, testing::BackendNames);

TYPED_TEST(LatchDeathTest, MayNotBeCountedBelowZero) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) {
                 Latch<B> latch(1);
                 latch.CountDown(io, 2);
               }),
               "weft: misuse: Latch::CountDown below zero");
}

TYPED_TEST(LatchDeathTest, MayNotBeDestroyedUnderAWaiter) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) {
                 std::optional<Latch<B>> latch(std::in_place, 1);
                 auto waiter =
                     Async(io, [&](B& own) { return latch->Wait(own); });
                 YieldUntil(io, [&] { return latch->waiters() == 1; });
                 latch.reset();
               }),
               "weft: misuse: a Latch was destroyed while a task waits");
}

}  // namespace
}  // namespace weft
