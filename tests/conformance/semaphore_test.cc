#include "weft/sync/semaphore.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "absl/cleanup/cleanup.h"
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
class SemaphoreTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(SemaphoreTest, testing::Backends, testing::BackendNames);

// What needs the kernel or threads of the host program.
template <class Config>
using SemaphoreKernelTest = SemaphoreTest<Config>;
TYPED_TEST_SUITE(SemaphoreKernelTest, testing::KernelBackends,
                 testing::BackendNames);

TYPED_TEST(SemaphoreTest, CountsPermits) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Semaphore<B> semaphore(/*initial=*/2, /*max=*/3);
    EXPECT_TRUE(semaphore.Acquire(io).ok());
    EXPECT_TRUE(semaphore.TryAcquire(io));
    EXPECT_FALSE(semaphore.TryAcquire(io));
    semaphore.Release(io, 3);
    EXPECT_EQ(semaphore.permits(), 3u);
    EXPECT_FALSE(semaphore.TryAcquire(io, 4));
    EXPECT_TRUE(semaphore.TryAcquire(io, 3));
  });
}

// The use that the header shows.
TYPED_TEST(SemaphoreTest, BoundsHowManyAreInside) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Semaphore<B> places(/*initial=*/3, /*max=*/3);
    std::atomic<int> inside = 0;
    TaskGroup<B> group(io);
    for (int task = 0; task < 12; ++task) {
      group.Spawn([&](B& own) -> absl::Status {
        for (int round = 0; round < 50; ++round) {
          absl::Status status = places.Acquire(own);
          if (!status.ok()) return status;
          absl::Cleanup release = [&] { places.Release(own); };
          EXPECT_LE(++inside, 3);
          own.Yield();
          --inside;
        }
        return absl::OkStatus();
      });
    }
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_EQ(places.permits(), 3u);
  });
}

TYPED_TEST(SemaphoreTest, WaitersAreServedInOrder) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    constexpr size_t kWaiters = 8;
    Semaphore<B> semaphore(0, kWaiters);
    std::vector<size_t> order;
    TaskGroup<B> group(io);
    for (size_t i = 0; i < kWaiters; ++i) {
      group.Spawn([&, i](B& own) {
        EXPECT_TRUE(semaphore.Acquire(own).ok());
        order.push_back(i);
      });
      YieldUntil(io, [&] { return semaphore.waiters() == i + 1; });
    }
    for (size_t left = kWaiters; left > 0; --left) {
      semaphore.Release(io);
      EXPECT_EQ(semaphore.waiters(), left - 1);
      // Waits for the end of the one task that was let go.
      YieldUntil(io, [&] { return group.running() == left - 1; });
    }
    EXPECT_TRUE(group.Await(io).ok());
    for (size_t i = 0; i < kWaiters; ++i) EXPECT_EQ(order[i], i);
  });
}

TYPED_TEST(SemaphoreTest, NobodyPassesOneThatWantsMany) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Semaphore<B> semaphore(2, 4);
    auto many = Async(io, [&](B& own) { return semaphore.Acquire(own, 4); });
    YieldUntil(io, [&] { return semaphore.waiters() == 1; });
    EXPECT_FALSE(semaphore.TryAcquire(io));
    auto few = Async(io, [&](B& own) { return semaphore.Acquire(own, 1); });
    YieldUntil(io, [&] { return semaphore.waiters() == 2; });
    semaphore.Release(io, 1);
    EXPECT_EQ(semaphore.waiters(), 2u);
    semaphore.Release(io, 1);
    EXPECT_TRUE(many.Await(io).ok());
    EXPECT_EQ(semaphore.waiters(), 1u);
    semaphore.Release(io, 4);
    EXPECT_TRUE(few.Await(io).ok());
    EXPECT_EQ(semaphore.permits(), 3u);
  });
}

TYPED_TEST(SemaphoreTest, OneReleaseServesSeveralWaiters) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Semaphore<B> semaphore(0, 100);
    TaskGroup<B> group(io);
    for (size_t i = 0; i < 20; ++i) {
      group.Spawn([&](B& own) { return semaphore.Acquire(own, 2); });
    }
    YieldUntil(io, [&] { return semaphore.waiters() == 20; });
    semaphore.Release(io, 41);
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_EQ(semaphore.permits(), 1u);
  });
}

TYPED_TEST(SemaphoreTest, CancelledWaiterUncoversOneThatWantsFewer) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Semaphore<B> semaphore(1, 4);
    auto many = Async(io, [&](B& own) { return semaphore.Acquire(own, 4); });
    YieldUntil(io, [&] { return semaphore.waiters() == 1; });
    auto few = Async(io, [&](B& own) { return semaphore.Acquire(own, 1); });
    YieldUntil(io, [&] { return semaphore.waiters() == 2; });
    many.Cancel();
    EXPECT_TRUE(few.Await(io).ok());
    EXPECT_TRUE(absl::IsCancelled(many.Await(io)));
    EXPECT_EQ(semaphore.waiters(), 0u);
    EXPECT_EQ(semaphore.permits(), 0u);
    semaphore.Release(io);
    EXPECT_TRUE(semaphore.TryAcquire(io));
  });
}

TYPED_TEST(SemaphoreTest, AcquireForGivesUpInTimeAndLeavesNoTrace) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Semaphore<B> semaphore(0, 1);
    const MonotonicTime start = io.Now();
    const absl::Status status = semaphore.AcquireFor(io, 2ms);
    EXPECT_TRUE(absl::IsDeadlineExceeded(status));
    EXPECT_EQ(status.message(), "acquire: deadline exceeded");
    EXPECT_GE(io.Now() - start, 2ms);
    EXPECT_EQ(semaphore.waiters(), 0u);
    semaphore.Release(io);
    EXPECT_TRUE(semaphore.AcquireFor(io, 0ms).ok());
  });
}

TYPED_TEST(SemaphoreTest, CancelledScopeDoesNotAcquire) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Semaphore<B> semaphore(1, 1);
    CancelScope scope(io);
    scope.Cancel();
    EXPECT_TRUE(absl::IsCancelled(semaphore.Acquire(io)));
    EXPECT_EQ(semaphore.permits(), 1u);
  });
}

TYPED_TEST(SemaphoreKernelTest, AnyThreadMayRelease) {
  using B = typename TypeParam::Io;
  const std::unique_ptr<B> io = MakeIo<TypeParam>();
  Semaphore<B> semaphore(0, 1);
  std::thread releaser([&] {
    while (semaphore.waiters() == 0) std::this_thread::yield();
    semaphore.Release(*io);
  });
  RunOnInstance(*io, [&](B& own) { EXPECT_TRUE(semaphore.Acquire(own).ok()); });
  releaser.join();
}

TYPED_TEST(SemaphoreKernelTest, TwoInstancesShareOne) {
  using B = typename TypeParam::Io;
  const std::unique_ptr<B> first = MakeIo<TypeParam>();
  const std::unique_ptr<B> second = MakeIo<TypeParam>();
  Semaphore<B> ping(0, 1);
  Semaphore<B> pong(0, 1);
  std::thread other([&] {
    RunOnInstance(*second, [&](B& io) {
      for (int round = 0; round < 500; ++round) {
        EXPECT_TRUE(ping.Acquire(io).ok());
        pong.Release(io);
      }
    });
  });
  RunOnInstance(*first, [&](B& io) {
    for (int round = 0; round < 500; ++round) {
      ping.Release(io);
      EXPECT_TRUE(pong.Acquire(io).ok());
    }
  });
  other.join();
}

TYPED_TEST(SemaphoreTest, WaiterMayDestroyIt) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (int round = 0; round < 300; ++round) {
      TaskGroup<B> group(io);
      auto semaphore = std::make_unique<Semaphore<B>>(0, 1);
      group.Spawn(
          [released = semaphore.get()](B& own) { released->Release(own); });
      EXPECT_TRUE(semaphore->Acquire(io).ok());
      semaphore.reset();
      EXPECT_TRUE(group.Await(io).ok());
    }
  });
}

// Acquires of all kinds with deadlines and cancels in between: in the end all
// permits are there.
TYPED_TEST(SemaphoreTest, Stress) {
  using B = typename TypeParam::Io;
  const testing::Seed seed;
  RunOn<TypeParam>([&](B& io) {
    constexpr uint32_t kPermits = 5;
    Semaphore<B> semaphore(kPermits, kPermits);
    std::atomic<uint32_t> held = 0;
    const auto use = [&](B& own, std::mt19937& random) {
      const auto count = static_cast<uint32_t>(1 + random() % kPermits);
      if (random() % 4 == 0) {
        if (!semaphore.TryAcquire(own, count)) return;
      } else {
        Deadline deadline(own, std::chrono::microseconds(random() % 100));
        if (!semaphore.Acquire(own, count).ok()) return;
      }
      EXPECT_LE(held += count, kPermits);
      if (random() % 2 == 0) own.Yield();
      held -= count;
      semaphore.Release(own, count);
    };
    for (uint32_t round = 0; round < 20; ++round) {
      TaskGroup<B> group(io);
      for (uint32_t task = 0; task < 6; ++task) {
        group.Spawn([&, round, task](B& own) {
          std::mt19937 random = seed.GeneratorFor(round * 6 + task);
          for (int i = 0; i < 50; ++i) use(own, random);
        });
      }
      if (round % 2 == 0) {
        io.Yield();
        group.Cancel();
      }
      EXPECT_TRUE(group.Await(io).ok());
      EXPECT_EQ(semaphore.permits(), kPermits);
      EXPECT_EQ(semaphore.waiters(), 0u);
    }
  });
}

template <class Config>
using SemaphoreDeathTest = SemaphoreTest<Config>;
TYPED_TEST_SUITE(SemaphoreDeathTest, testing::Backends, testing::BackendNames);

TYPED_TEST(SemaphoreDeathTest, MayNotBeReleasedBeyondItsMaximum) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) {
                 Semaphore<B> semaphore(1, 2);
                 semaphore.Release(io, 2);
               }),
               "weft: misuse: Semaphore::Release beyond the maximum");
}

TYPED_TEST(SemaphoreDeathTest, MayNotStartBeyondItsMaximum) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(Semaphore<B>(3, 2), "weft: misuse: a Semaphore was made with");
}

TYPED_TEST(SemaphoreDeathTest, MayNotBeAskedForMoreThanItsMaximum) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) {
                 Semaphore<B> semaphore(2, 2);
                 (void)semaphore.Acquire(io, 3);
               }),
               "weft: misuse: Semaphore::Acquire of more permits than");
}

TYPED_TEST(SemaphoreDeathTest, MayNotBeDestroyedUnderAWaiter) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) {
                 std::optional<Semaphore<B>> semaphore(std::in_place, 0, 1);
                 auto waiter =
                     Async(io, [&](B& own) { return semaphore->Acquire(own); });
                 YieldUntil(io, [&] { return semaphore->waiters() == 1; });
                 semaphore.reset();
               }),
               "weft: misuse: a Semaphore was destroyed while a task waits");
}

}  // namespace
}  // namespace weft
