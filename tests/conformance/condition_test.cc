#include "weft/sync/condition.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <vector>

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
class ConditionTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(ConditionTest, testing::PerturbedToo::All,
                 testing::BackendNames);

// What needs the kernel or threads of the host program.
template <class Config>
using ConditionKernelTest = ConditionTest<Config>;
TYPED_TEST_SUITE(ConditionKernelTest, testing::PerturbedToo::Kernel,
                 testing::BackendNames);

// The use that the header shows.
template <Backend B>
class Queue {
 public:
  void Put(B& io, int item) {
    MutexLock lock(mutex_, io);
    queue_.push_back(item);
    not_empty_.NotifyOne(io);
  }
  absl::StatusOr<int> Take(B& io) {
    MutexLock lock(mutex_, io);
    absl::Status status = not_empty_.Wait(io, mutex_, [&] {
      mutex_.AssertHeld(io);
      return !queue_.empty();
    });
    if (!status.ok()) return status;
    const int item = queue_.front();
    queue_.pop_front();
    return item;
  }
  size_t waiters() const { return not_empty_.waiters(); }

 private:
  Mutex<B> mutex_;
  Condition<B> not_empty_;
  std::deque<int> queue_ ABSL_GUARDED_BY(mutex_);
};

TYPED_TEST(ConditionTest, WaiterWakesWhenNotified) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Queue<B> queue;
    auto taken = Async(io, [&](B& own) { return queue.Take(own); });
    YieldUntil(io, [&] { return queue.waiters() == 1; });
    queue.Put(io, 42);
    EXPECT_EQ(*taken.Await(io), 42);
  });
}

TYPED_TEST(ConditionTest, NotifyWithoutWaitersIsNotRemembered) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Mutex<B> mutex;
    Condition<B> condition;
    condition.NotifyOne(io);
    condition.NotifyAll(io);
    MutexLock lock(mutex, io);
    EXPECT_TRUE(absl::IsDeadlineExceeded(condition.WaitFor(io, mutex, 1ms)));
    mutex.AssertHeld(io);
  });
}

TYPED_TEST(ConditionTest, NotifyOneWakesInOrder) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    constexpr size_t kWaiters = 8;
    Mutex<B> mutex;
    Condition<B> condition;
    std::vector<size_t> order;
    TaskGroup<B> group(io);
    for (size_t i = 0; i < kWaiters; ++i) {
      group.Spawn([&, i](B& own) {
        MutexLock lock(mutex, own);
        EXPECT_TRUE(condition.Wait(own, mutex).ok());
        order.push_back(i);
      });
      YieldUntil(io, [&] { return condition.waiters() == i + 1; });
    }
    for (size_t i = 0; i < kWaiters; ++i) {
      condition.NotifyOne(io);
      EXPECT_EQ(condition.waiters(), kWaiters - i - 1);
      YieldUntil(io, [&] {
        MutexLock lock(mutex, io);
        return order.size() == i + 1;
      });
      EXPECT_EQ(order.back(), i);
    }
    EXPECT_TRUE(group.Await(io).ok());
  });
}

TYPED_TEST(ConditionTest, NotifyAllWakesAll) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    constexpr size_t kWaiters = 16;
    Mutex<B> mutex;
    Condition<B> condition;
    bool open = false;
    TaskGroup<B> group(io);
    for (size_t i = 0; i < kWaiters; ++i) {
      group.Spawn([&](B& own) {
        MutexLock lock(mutex, own);
        EXPECT_TRUE(condition.Wait(own, mutex, [&] { return open; }).ok());
      });
    }
    YieldUntil(io, [&] { return condition.waiters() == kWaiters; });
    {
      MutexLock lock(mutex, io);
      open = true;
    }
    condition.NotifyAll(io);
    EXPECT_TRUE(group.Await(io).ok());
  });
}

TYPED_TEST(ConditionTest, MutexIsHeldAgainAfterCancel) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Mutex<B> mutex;
    Condition<B> condition;
    auto waiter = Async(io, [&](B& own) {
      MutexLock lock(mutex, own);
      absl::Status status = condition.Wait(own, mutex);
      mutex.AssertHeld(own);
      return status;
    });
    YieldUntil(io, [&] { return condition.waiters() == 1; });
    mutex.Lock(io);
    waiter.Cancel();
    // It has given up and waits for the mutex, which cannot be interrupted.
    YieldUntil(io, [&] { return mutex.waiters() == 1; });
    EXPECT_EQ(condition.waiters(), 0u);
    mutex.Unlock(io);
    EXPECT_TRUE(absl::IsCancelled(waiter.Await(io)));
  });
}

TYPED_TEST(ConditionTest, CancelledScopeDoesNotWait) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Mutex<B> mutex;
    Condition<B> condition;
    MutexLock lock(mutex, io);
    CancelScope scope(io);
    scope.Cancel();
    EXPECT_TRUE(absl::IsCancelled(condition.Wait(io, mutex)));
    EXPECT_TRUE(
        absl::IsCancelled(condition.Wait(io, mutex, [] { return true; })));
    mutex.AssertHeld(io);
  });
}

TYPED_TEST(ConditionTest, WaitForEndsInTimeWithThePredicateFalse) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Mutex<B> mutex;
    Condition<B> condition;
    MutexLock lock(mutex, io);
    const MonotonicTime start = io.Now();
    const absl::Status status =
        condition.WaitFor(io, mutex, 2ms, [] { return false; });
    EXPECT_TRUE(absl::IsDeadlineExceeded(status));
    EXPECT_GE(io.Now() - start, 2ms);
    EXPECT_TRUE(condition.WaitFor(io, mutex, 0ms, [] { return true; }).ok());
  });
}

TYPED_TEST(ConditionTest, PredicateThatHoldsAtTheDeadlineCounts) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Mutex<B> mutex;
    Condition<B> condition;
    MutexLock lock(mutex, io);
    int calls = 0;
    EXPECT_TRUE(
        condition.WaitFor(io, mutex, 1ms, [&] { return ++calls == 2; }).ok());
    EXPECT_EQ(calls, 2);
  });
}

TYPED_TEST(ConditionTest, NotifierMayDestroyItAfterNotifyAll) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (int round = 0; round < 300; ++round) {
      Mutex<B> mutex;
      auto condition = std::make_unique<Condition<B>>();
      TaskGroup<B> group(io);
      for (int i = 0; i < 3; ++i) {
        group.Spawn([&, waited_for = condition.get()](B& own) {
          MutexLock lock(mutex, own);
          EXPECT_TRUE(waited_for->Wait(own, mutex).ok());
        });
      }
      YieldUntil(io, [&] { return condition->waiters() == 3; });
      condition->NotifyAll(io);
      condition.reset();
      EXPECT_TRUE(group.Await(io).ok());
    }
  });
}

TYPED_TEST(ConditionKernelTest, TwoInstancesShareOne) {
  using B = typename TypeParam::Io;
  const std::unique_ptr<B> first = MakeIo<TypeParam>();
  const std::unique_ptr<B> second = MakeIo<TypeParam>();
  constexpr int kItems = 1000;
  Queue<B> queue;
  std::thread other([&] {
    RunOnInstance(*second, [&](B& io) {
      for (int item = 0; item < kItems; ++item) {
        EXPECT_EQ(*queue.Take(io), item);
      }
    });
  });
  RunOnInstance(*first, [&](B& io) {
    for (int item = 0; item < kItems; ++item) queue.Put(io, item);
  });
  other.join();
}

TYPED_TEST(ConditionTest, Stress) {
  using B = typename TypeParam::Io;
  const testing::Seed seed;
  RunOn<TypeParam>([&](B& io) {
    constexpr int kItems = 2000;
    Queue<B> queue;
    std::atomic<int> taken = 0;
    std::atomic<int64_t> sum = 0;
    TaskGroup<B> takers(io);
    for (uint32_t task = 0; task < 4; ++task) {
      takers.Spawn([&, task](B& own) {
        std::mt19937 random = seed.GeneratorFor(task);
        while (taken < kItems) {
          Deadline deadline(own, std::chrono::microseconds(random() % 200));
          const absl::StatusOr<int> item = queue.Take(own);
          if (!item.ok()) {
            EXPECT_TRUE(absl::IsDeadlineExceeded(item.status()));
            continue;
          }
          sum += *item;
          ++taken;
        }
      });
    }
    std::mt19937 random = seed.GeneratorFor(100);
    for (int item = 1; item <= kItems; ++item) {
      queue.Put(io, item);
      if (random() % 8 == 0) io.Yield();
    }
    EXPECT_TRUE(takers.Await(io).ok());
    EXPECT_EQ(sum, int64_t{kItems} * (kItems + 1) / 2);
  });
}

// These do on purpose what the analysis would refuse.
#ifdef __clang__
#pragma clang diagnostic ignored "-Wthread-safety-analysis"
#endif

template <class Config>
using ConditionDeathTest = ConditionTest<Config>;
TYPED_TEST_SUITE(ConditionDeathTest, testing::Backends, testing::BackendNames);

TYPED_TEST(ConditionDeathTest, WaitNeedsTheMutex) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) {
                 Mutex<B> mutex;
                 Condition<B> condition;
                 (void)condition.Wait(io, mutex);
               }),
               "weft: misuse: Condition::Wait by a task that does not hold");
}

TYPED_TEST(ConditionDeathTest, MayNotBeDestroyedUnderAWaiter) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) {
                 Mutex<B> mutex;
                 std::optional<Condition<B>> condition(std::in_place);
                 auto waiter = Async(io, [&](B& own) {
                   MutexLock lock(mutex, own);
                   return condition->Wait(own, mutex);
                 });
                 YieldUntil(io, [&] { return condition->waiters() == 1; });
                 condition.reset();
               }),
               "weft: misuse: a Condition was destroyed while a task waits");
}

}  // namespace
}  // namespace weft
