#include "weft/sync/mutex.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
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
class MutexTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(MutexTest, testing::Backends, testing::BackendNames);

// What needs the kernel or threads of the host program.
template <class Config>
using MutexKernelTest = MutexTest<Config>;
TYPED_TEST_SUITE(MutexKernelTest, testing::KernelBackends,
                 testing::BackendNames);

// The use that the header shows.
template <Backend B>
class Account {
 public:
  void Add(B& io, int amount) {
    MutexLock lock(mutex_, io);
    balance_ += amount;
  }
  int Balance(B& io) {
    MutexLock lock(mutex_, io);
    return balance_;
  }

 private:
  Mutex<B> mutex_;
  int balance_ ABSL_GUARDED_BY(mutex_) = 0;
};

TYPED_TEST(MutexTest, IsFreeAtFirstAndAfterUnlock) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Mutex<B> mutex;
    mutex.Lock(io);
    EXPECT_FALSE(mutex.TryLock(io));
    mutex.AssertHeld(io);
    mutex.Unlock(io);
    const bool locked = mutex.TryLock(io);
    EXPECT_TRUE(locked);
    if (locked) mutex.Unlock(io);
  });
}

TYPED_TEST(MutexTest, WaiterWakesWhenHolderUnlocks) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Mutex<B> mutex;
    std::atomic<bool> entered = false;
    TaskGroup<B> group(io);
    mutex.Lock(io);
    group.Spawn([&](B& own) {
      MutexLock lock(mutex, own);
      entered = true;
    });
    YieldUntil(io, [&] { return mutex.waiters() == 1; });
    EXPECT_FALSE(entered);
    mutex.Unlock(io);
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_TRUE(entered);
  });
}

TYPED_TEST(MutexTest, CountIsExactUnderContention) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    constexpr int kTasks = 8;
    constexpr int kRounds = 2000;
    Account<B> account;
    TaskGroup<B> group(io);
    for (int task = 0; task < kTasks; ++task) {
      group.Spawn([&](B& own) {
        for (int round = 0; round < kRounds; ++round) {
          account.Add(own, 1);
          if (round % 16 == 0) own.Yield();
        }
      });
    }
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_EQ(account.Balance(io), kTasks * kRounds);
  });
}

TYPED_TEST(MutexTest, MayBeHeldAcrossParking) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Mutex<B> mutex;
    int inside = 0;
    TaskGroup<B> group(io);
    for (int task = 0; task < 4; ++task) {
      group.Spawn([&](B& own) {
        for (int round = 0; round < 20; ++round) {
          MutexLock lock(mutex, own);
          EXPECT_EQ(++inside, 1);
          EXPECT_TRUE(Sleep(own, 10us).ok());
          EXPECT_EQ(--inside, 0);
        }
      });
    }
    EXPECT_TRUE(group.Await(io).ok());
  });
}

TYPED_TEST(MutexTest, WaitersAreServedInOrder) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    constexpr size_t kWaiters = 8;
    Mutex<B> mutex;
    std::vector<size_t> order;
    TaskGroup<B> group(io);
    mutex.Lock(io);
    for (size_t i = 0; i < kWaiters; ++i) {
      group.Spawn([&, i](B& own) {
        MutexLock lock(mutex, own);
        order.push_back(i);
      });
      YieldUntil(io, [&] { return mutex.waiters() == i + 1; });
    }
    mutex.Unlock(io);
    EXPECT_TRUE(group.Await(io).ok());
    ASSERT_EQ(order.size(), kWaiters);
    for (size_t i = 0; i < kWaiters; ++i) EXPECT_EQ(order[i], i);
  });
}

// One byte through a pipe, which is real I/O.
template <Backend B>
void PassAByte(B& io, const int (&pipe_ends)[2]) {
  char byte = 'x';
  ASSERT_EQ(
      io.Perform(op::WriteAt{.fd = pipe_ends[1], .data = &byte, .size = 1}), 1);
  ASSERT_EQ(
      io.Perform(op::ReadAt{.fd = pipe_ends[0], .data = &byte, .size = 1}), 1);
}

TYPED_TEST(MutexKernelTest, LoopOfLockIoUnlockDoesNotStarveAnother) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    Mutex<B> mutex;
    std::atomic<bool> waiting = false;
    std::atomic<bool> done = false;
    int rounds_while_waiting = 0;
    TaskGroup<B> group(io);
    group.Spawn([&](B& own) {
      while (!done) {
        MutexLock lock(mutex, own);
        PassAByte(own, pipe_ends);
        if (waiting) ++rounds_while_waiting;
      }
    });
    group.Spawn([&](B& own) {
      for (int round = 0; round < 100; ++round) {
        MutexLock lock(mutex, own);
        waiting = true;
        // The round that was under way, and one that overtook.
        if (TypeParam::kOneWorker) {
          EXPECT_LE(rounds_while_waiting, 2);
        }
        rounds_while_waiting = 0;
      }
      done = true;
    });
    EXPECT_TRUE(group.Await(io).ok());
    close(pipe_ends[0]);
    close(pipe_ends[1]);
  });
}

TYPED_TEST(MutexTest, TimedLockGivesUpInTimeAndLeavesNoTrace) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Mutex<B> mutex;
    mutex.Lock(io);
    auto gave_up = Async(io, [&](B& own) {
      const MonotonicTime start = own.Now();
      const bool locked = mutex.TryLockFor(own, 2ms);
      if (locked) mutex.Unlock(own);
      EXPECT_GE(own.Now() - start, 2ms);
      return !locked;
    });
    EXPECT_TRUE(gave_up.Await(io));
    EXPECT_EQ(mutex.waiters(), 0u);
    auto gave_up_at_once = Async(io, [&](B& own) {
      const bool locked = mutex.TryLockUntil(own, own.Now());
      if (locked) mutex.Unlock(own);
      return !locked;
    });
    EXPECT_TRUE(gave_up_at_once.Await(io));
    mutex.Unlock(io);
    const bool locked = mutex.TryLockFor(io, 0ms);
    EXPECT_TRUE(locked);
    if (locked) mutex.Unlock(io);
  });
}

TYPED_TEST(MutexTest, TimedLockGetsTheMutexInTime) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Mutex<B> mutex;
    mutex.Lock(io);
    auto locked = Async(io, [&](B& own) {
      const bool got = mutex.TryLockFor(own, 1h);
      if (got) mutex.Unlock(own);
      return got;
    });
    YieldUntil(io, [&] { return mutex.waiters() == 1; });
    mutex.Unlock(io);
    EXPECT_TRUE(locked.Await(io));
  });
}

TYPED_TEST(MutexTest, WaiterBehindOneThatGaveUpIsServed) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Mutex<B> mutex;
    mutex.Lock(io);
    auto first = Async(io, [&](B& own) {
      const bool got = mutex.TryLockFor(own, 1ms);
      if (got) mutex.Unlock(own);
      return got;
    });
    YieldUntil(io, [&] { return first.ready() || mutex.waiters() == 1; });
    auto second = Async(io, [&](B& own) { MutexLock lock(mutex, own); });
    EXPECT_FALSE(first.Await(io));
    YieldUntil(io, [&] { return mutex.waiters() == 1; });
    mutex.Unlock(io);
    second.Await(io);
  });
}

TYPED_TEST(MutexTest, LockingIsNoCancellationPoint) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Mutex<B> mutex;
    std::atomic<bool> entered = false;
    mutex.Lock(io);
    auto waiter = Async(io, [&](B& own) {
      MutexLock lock(mutex, own);
      entered = true;
      return CheckCancelled(own);
    });
    YieldUntil(io, [&] { return mutex.waiters() == 1; });
    waiter.Cancel();
    io.Yield();
    EXPECT_FALSE(entered);
    EXPECT_EQ(mutex.waiters(), 1u);
    mutex.Unlock(io);
    EXPECT_TRUE(absl::IsCancelled(waiter.Await(io)));
    EXPECT_TRUE(entered);
  });
}

TYPED_TEST(MutexTest, LastUserMayDestroyIt) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    struct Shared {
      Mutex<B> mutex;
      int users = 3;
    };
    for (int round = 0; round < 300; ++round) {
      auto* shared = new Shared;
      TaskGroup<B> group(io);
      for (int user = 0; user < 3; ++user) {
        group.Spawn([shared](B& own) {
          shared->mutex.Lock(own);
          const bool last = --shared->users == 0;
          shared->mutex.Unlock(own);
          if (last) delete shared;
        });
      }
      EXPECT_TRUE(group.Await(io).ok());
    }
  });
}

TYPED_TEST(MutexKernelTest, TwoInstancesShareOne) {
  using B = typename TypeParam::Io;
  const std::unique_ptr<B> first = MakeIo<TypeParam>();
  const std::unique_ptr<B> second = MakeIo<TypeParam>();
  constexpr int kRounds = 3000;
  Account<B> account;
  const auto add = [&](B& io) {
    for (int round = 0; round < kRounds; ++round) account.Add(io, 1);
  };
  std::thread other([&] { RunOnInstance(*second, add); });
  RunOnInstance(*first, add);
  other.join();
  RunOnInstance(*first,
                [&](B& io) { EXPECT_EQ(account.Balance(io), 2 * kRounds); });
}

TYPED_TEST(MutexKernelTest, UnlockWakesWaiterOfAnotherInstance) {
  using B = typename TypeParam::Io;
  const std::unique_ptr<B> first = MakeIo<TypeParam>();
  const std::unique_ptr<B> second = MakeIo<TypeParam>();
  Mutex<B> mutex;
  std::atomic<bool> locked = false;
  std::thread other([&] {
    RunOnInstance(*second, [&](B& io) {
      YieldUntil(io, [&] { return locked.load(); });
      MutexLock lock(mutex, io);
    });
  });
  RunOnInstance(*first, [&](B& io) {
    MutexLock lock(mutex, io);
    locked = true;
    YieldUntil(io, [&] { return mutex.waiters() == 1; });
  });
  other.join();
}

// Tasks that wait with and without a limit, hold with and without parking.
TYPED_TEST(MutexTest, Stress) {
  using B = typename TypeParam::Io;
  const testing::Seed seed;
  RunOn<TypeParam>([&](B& io) {
    constexpr uint32_t kTasks = 8;
    Mutex<B> mutex;
    int inside = 0;
    int entered = 0;
    std::atomic<int> expected = 0;
    TaskGroup<B> group(io);
    for (uint32_t task = 0; task < kTasks; ++task) {
      group.Spawn([&, task](B& own) {
        std::mt19937 random = seed.GeneratorFor(task);
        for (int round = 0; round < 400; ++round) {
          const uint32_t choice = random() % 4;
          if (choice == 0) {
            if (!mutex.TryLock(own)) continue;
          } else if (choice == 1) {
            const Duration span = std::chrono::microseconds(random() % 50);
            if (!mutex.TryLockFor(own, span)) continue;
          } else {
            mutex.Lock(own);
          }
          EXPECT_EQ(++inside, 1);
          ++entered;
          ++expected;
          if (random() % 4 == 0) own.Yield();
          if (random() % 64 == 0) {
            EXPECT_TRUE(Sleep(own, 20us).ok());
          }
          EXPECT_EQ(--inside, 0);
          mutex.Unlock(own);
        }
      });
    }
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_EQ(entered, expected);
    EXPECT_EQ(mutex.waiters(), 0u);
  });
}

// These do on purpose what the analysis would refuse.
#ifdef __clang__
#pragma clang diagnostic ignored "-Wthread-safety-analysis"
#endif

template <class Config>
using MutexDeathTest = MutexTest<Config>;
TYPED_TEST_SUITE(MutexDeathTest, testing::Backends, testing::BackendNames);

TYPED_TEST(MutexDeathTest, HolderMayNotLockAgain) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) {
                 Mutex<B> mutex;
                 mutex.Lock(io);
                 mutex.Lock(io);
               }),
               "weft: misuse: Mutex::Lock .*by the task that holds");
}

TYPED_TEST(MutexDeathTest, OnlyTheHolderMayUnlock) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) {
                 Mutex<B> mutex;
                 mutex.Lock(io);
                 Async(io, [&](B& own) { mutex.Unlock(own); }).Await(io);
               }),
               "weft: misuse: Mutex::Unlock by a task that does not hold");
}

TYPED_TEST(MutexDeathTest, UnlockedMayNotBeUnlocked) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) {
                 Mutex<B> mutex;
                 mutex.Lock(io);
                 mutex.Unlock(io);
                 mutex.Unlock(io);
               }),
               "weft: misuse: Mutex::Unlock by a task that does not hold");
}

TYPED_TEST(MutexDeathTest, LockedMayNotBeDestroyed) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) {
                 Mutex<B> mutex;
                 mutex.Lock(io);
               }),
               "weft: misuse: a Mutex was destroyed while a task holds it");
}

TYPED_TEST(MutexDeathTest, AssertHeldNeedsTheHolder) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) {
                 Mutex<B> mutex;
                 mutex.AssertHeld(io);
               }),
               "weft: misuse: Mutex::AssertHeld");
}

}  // namespace
}  // namespace weft
