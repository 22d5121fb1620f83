#include "weft/sync/barrier.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <random>

#include "weft/runtime/future.h"
#include "weft/runtime/task_group.h"
#include "weft/tests/conformance/backends.h"

namespace weft {
namespace {

using testing::RunOn;
using testing::YieldUntil;
using namespace std::chrono_literals;

template <class Config>
class BarrierTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(BarrierTest, testing::Backends, testing::BackendNames);

TYPED_TEST(BarrierTest, OfOneNeverWaits) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Barrier<B> barrier(1);
    EXPECT_EQ(barrier.parties(), 1u);
    for (int round = 0; round < 3; ++round) {
      EXPECT_TRUE(barrier.Wait(io).ok());
    }
  });
}

// The use that the header shows.
TYPED_TEST(BarrierTest, NobodyIsARoundAhead) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    constexpr int kParties = 4;
    Barrier<B> round(kParties);
    std::atomic<int> arrived = 0;
    TaskGroup<B> group(io);
    for (int task = 0; task < kParties; ++task) {
      group.Spawn([&](B& own) -> absl::Status {
        for (int part = 1; part <= 100; ++part) {
          ++arrived;
          absl::Status status = round.Wait(own);
          if (!status.ok()) return status;
          EXPECT_GE(arrived, part * kParties);
          EXPECT_LT(arrived, (part + 1) * kParties);
        }
        return absl::OkStatus();
      });
    }
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_EQ(arrived, 100 * kParties);
    EXPECT_EQ(round.waiters(), 0u);
  });
}

// C4: the arrival of a waiter that gave up does not count.
TYPED_TEST(BarrierTest, ArrivalOfACancelledWaiterIsWithdrawn) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Barrier<B> barrier(3);
    const auto wait = [&](B& own) { return barrier.Wait(own); };
    auto first = Async(io, wait);
    YieldUntil(io, [&] { return barrier.waiters() == 1; });
    auto second = Async(io, wait);
    YieldUntil(io, [&] { return barrier.waiters() == 2; });
    first.Cancel();
    EXPECT_TRUE(absl::IsCancelled(first.Await(io)));
    EXPECT_EQ(barrier.waiters(), 1u);
    const MonotonicTime start = io.Now();
    const absl::Status late = barrier.WaitFor(io, 2ms);
    EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;
    EXPECT_GE(io.Now() - start, 2ms);
    EXPECT_FALSE(second.ready());
    EXPECT_EQ(barrier.waiters(), 1u);
    auto third = Async(io, wait);
    EXPECT_TRUE(barrier.Wait(io).ok());
    EXPECT_TRUE(second.Await(io).ok());
    EXPECT_TRUE(third.Await(io).ok());
  });
}

TYPED_TEST(BarrierTest, CancelledScopeDoesNotArrive) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Barrier<B> barrier(2);
    auto other = Async(io, [&](B& own) { return barrier.Wait(own); });
    YieldUntil(io, [&] { return barrier.waiters() == 1; });
    {
      CancelScope scope(io);
      scope.Cancel();
      EXPECT_TRUE(absl::IsCancelled(barrier.Wait(io)));
    }
    EXPECT_EQ(barrier.waiters(), 1u);
    EXPECT_TRUE(barrier.Wait(io).ok());
    EXPECT_TRUE(other.Await(io).ok());
  });
}

// C5: a waiter is cancelled at the moment at which the last one arrives:
// either both return OK, or the last one goes on waiting.
TYPED_TEST(BarrierTest, MeetingIsForAllOrForNone) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (int round = 0; round < 500; ++round) {
      Barrier<B> barrier(2);
      const auto wait = [&](B& own) { return barrier.Wait(own); };
      auto first = Async(io, wait);
      YieldUntil(io, [&] { return barrier.waiters() == 1; });
      auto second = Async(io, wait);
      if (round % 2 == 0) io.Yield();
      first.Cancel();
      const absl::Status status = first.Await(io);
      if (!status.ok()) {
        EXPECT_TRUE(absl::IsCancelled(status));
        EXPECT_FALSE(second.ready());
        EXPECT_TRUE(barrier.Wait(io).ok());
      }
      EXPECT_TRUE(second.Await(io).ok());
      EXPECT_EQ(barrier.waiters(), 0u);
    }
  });
}

// Tasks that come with a limit or without one: each round that is completed
// was completed for as many as the barrier is made for.
TYPED_TEST(BarrierTest, Stress) {
  using B = typename TypeParam::Io;
  const testing::Seed seed;
  RunOn<TypeParam>([&](B& io) {
    constexpr uint32_t kParties = 3;
    Barrier<B> barrier(kParties);
    std::atomic<uint32_t> met = 0;
    std::atomic<bool> done = false;
    TaskGroup<B> group(io);
    for (uint32_t task = 0; task < 5; ++task) {
      group.Spawn([&, task](B& own) {
        std::mt19937 random = seed.GeneratorFor(task);
        while (!done) {
          Deadline deadline(own, std::chrono::microseconds(random() % 200));
          const absl::Status status = barrier.Wait(own);
          EXPECT_TRUE(status.ok() || absl::IsDeadlineExceeded(status));
          if (status.ok() && ++met >= 1000) done = true;
        }
      });
    }
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_EQ(met % kParties, 0u);
    EXPECT_EQ(barrier.waiters(), 0u);
  });
}

template <class Config>
using BarrierDeathTest = BarrierTest<Config>;
TYPED_TEST_SUITE(BarrierDeathTest, testing::Backends, testing::BackendNames);

TYPED_TEST(BarrierDeathTest, MayNotBeMadeForNobody) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(Barrier<B>(0), "weft: misuse: a Barrier was made for no tasks");
}

TYPED_TEST(BarrierDeathTest, MayNotBeDestroyedUnderAWaiter) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) {
                 std::optional<Barrier<B>> barrier(std::in_place, 2);
                 auto waiter =
                     Async(io, [&](B& own) { return barrier->Wait(own); });
                 YieldUntil(io, [&] { return barrier->waiters() == 1; });
                 barrier.reset();
               }),
               "weft: misuse: a Barrier was destroyed while a task waits");
}

}  // namespace
}  // namespace weft
