// Waits with a limit of their own, on every backend: the reason for which they
// return is exact, and they count beyond sixteen bits.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "weft/runtime/future.h"
#include "weft/runtime/io.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/barrier.h"
#include "weft/sync/broadcast.h"
#include "weft/sync/channel.h"
#include "weft/sync/condition.h"
#include "weft/sync/event.h"
#include "weft/sync/internal/select_core.h"
#include "weft/sync/latch.h"
#include "weft/sync/mutex.h"
#include "weft/sync/once.h"
#include "weft/sync/select.h"
#include "weft/sync/semaphore.h"
#include "weft/sync/shared_mutex.h"
#include "weft/tests/conformance/backends.h"

namespace weft {
namespace {

using namespace std::chrono_literals;
using testing::RunOn;
using testing::Seed;
using testing::YieldUntil;

template <class Config>
class TimedWaitTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(TimedWaitTest, testing::Backends, testing::BackendNames);

// True for OK; false for the limit, which is the only other reason there is.
bool Granted(const absl::Status& status) {
  EXPECT_TRUE(status.ok() || absl::IsDeadlineExceeded(status)) << status;
  return status.ok();
}

// Calls `check(name, wait, waiters, grant)` for each timed wait:
// `wait(io, span)` tells whether it got what it waits for, `waiters()` how many
// wait, and `grant(io)`, which only the calling task may call, lets one go.
template <Backend B, class Check>
void ForEachSignal(B&, Check check) {
  Event<B> event;
  check(
      "event",
      [&](B& own, Duration span) { return Granted(event.WaitFor(own, span)); },
      [&] { return event.waiters(); }, [&](B& own) { event.Set(own); });
  Latch<B> latch(1);
  check(
      "latch",
      [&](B& own, Duration span) { return Granted(latch.WaitFor(own, span)); },
      [&] { return latch.waiters(); }, [&](B& own) { latch.CountDown(own); });
  Mutex<B> mutex;
  Condition<B> condition;
  check(
      "condition",
      [&](B& own, Duration span) {
        MutexLock lock(mutex, own);
        return Granted(condition.WaitFor(own, mutex, span));
      },
      [&] { return condition.waiters(); },
      [&](B& own) { condition.NotifyOne(own); });
  std::atomic<bool> holds{false};
  check(
      "predicate",
      [&](B& own, Duration span) {
        MutexLock lock(mutex, own);
        return Granted(
            condition.WaitFor(own, mutex, span, [&] { return holds.load(); }));
      },
      [&] { return condition.waiters(); },
      [&](B& own) {
        // Before it holds, a notify ends no wait.
        condition.NotifyAll(own);
        YieldUntil(own, [&] { return condition.waiters() == 1; });
        MutexLock lock(mutex, own);
        holds = true;
        condition.NotifyAll(own);
      });
  Barrier<B> barrier(2);
  check(
      "barrier",
      [&](B& own, Duration span) {
        return Granted(barrier.WaitFor(own, span));
      },
      [&] { return barrier.waiters(); },
      [&](B& own) { EXPECT_TRUE(barrier.Wait(own).ok()); });
  Broadcast<int, B> broadcast(1);
  check(
      "broadcast",
      [&](B& own, Duration span) {
        BroadcastReceiver<int, B> receiver(broadcast);
        return Granted(receiver.ReceiveFor(own, span).status());
      },
      [&] { return broadcast.waiters(); },
      [&](B& own) { EXPECT_TRUE(broadcast.Send(own, 1).ok()); });
  Event<B> chosen;
  check(
      "select",
      [&](B& own, Duration span) {
        const absl::StatusOr<size_t> branch =
            Select(own, After(span), OnEvent(chosen));
        EXPECT_TRUE(branch.ok()) << branch.status();
        return *branch == 1;
      },
      [&] { return chosen.waiters(); }, [&](B& own) { chosen.Set(own); });
}

// The same for what is given to one waiter and stays there if nobody takes it.
// Whoever is granted it keeps it.
template <Backend B, class Check>
void ForEachGift(B&, Check check) {
  Semaphore<B> semaphore(0, 1);
  check(
      "semaphore",
      [&](B& own, Duration span) {
        return Granted(semaphore.AcquireFor(own, span));
      },
      [&] { return semaphore.waiters(); },
      [&](B& own) { semaphore.Release(own); });
  Channel<int, B> channel(1);
  check(
      "channel",
      [&](B& own, Duration span) {
        return Granted(WithTimeout(
            own, span, [&] { return channel.Receive(own).status(); }));
      },
      [&] { return channel.waiting_receivers(); },
      [&](B& own) { EXPECT_TRUE(channel.TrySend(own, 1).ok()); });
}

// The same for locks, which whoever gets them gives back.
template <Backend B, class Check>
void ForEachLock(B& io, Check check) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  {
    Mutex<B> mutex;
    mutex.Lock(io);
    bool held = true;
    const auto unlock = [&](B& own) ABSL_NO_THREAD_SAFETY_ANALYSIS {
      if (std::exchange(held, false)) mutex.Unlock(own);
    };
    check(
        "mutex",
        [&](B& own, Duration span) ABSL_NO_THREAD_SAFETY_ANALYSIS {
          if (!mutex.TryLockFor(own, span)) return false;
          mutex.Unlock(own);
          return true;
        },
        [&] { return mutex.waiters(); }, unlock);
    unlock(io);
  }
  for (const bool shared : {true, false}) {
    SharedMutex<B> mutex;
    mutex.Lock(io);
    bool held = true;
    const auto unlock = [&](B& own) ABSL_NO_THREAD_SAFETY_ANALYSIS {
      if (std::exchange(held, false)) mutex.Unlock(own);
    };
    check(
        shared ? "shared lock" : "exclusive lock",
        [&](B& own, Duration span) ABSL_NO_THREAD_SAFETY_ANALYSIS {
          if (shared) {
            if (!mutex.TryLockSharedFor(own, span)) return false;
            mutex.UnlockShared(own);
          } else {
            if (!mutex.TryLockFor(own, span)) return false;
            mutex.Unlock(own);
          }
          return true;
        },
        [&] { return mutex.waiters(); }, unlock);
    unlock(io);
  }
  Once<B> once;
  Event<B> runs;
  Event<B> may_end;
  auto runner = Async(io, [&](B& own) {
    return once.Run(own, [&](B& inside) {
      runs.Set(inside);
      return may_end.Wait(inside);
    });
  });
  EXPECT_TRUE(runs.Wait(io).ok());
  check(
      "once",
      [&](B& own, Duration span) {
        return Granted(once.RunFor(own, span, [] { ADD_FAILURE(); }));
      },
      [&] { return once.waiters(); }, [&](B& own) { may_end.Set(own); });
  may_end.Set(io);
  EXPECT_TRUE(runner.Await(io).ok());
}

template <Backend B, class Check>
void ForEachTimedWait(B& io, Check check) {
  ForEachSignal(io, check);
  ForEachGift(io, check);
  ForEachLock(io, check);
}

// Starts `wait(io, span)` in a task and tells which task that is.
template <Backend B, class WaitFn>
Future<bool, B> StartWait(B& io, std::atomic<Task*>& task, Duration span,
                          WaitFn wait) {
  auto waiting = Async(io, [&task, span, wait](B& own) {
    task = &own.CurrentTask("test");
    return wait(own, span);
  });
  YieldUntil(io, [&] { return task != nullptr; });
  return waiting;
}

// A backend may wake a task to look at its scopes; if these have nothing to
// say, its wait goes on.
TYPED_TEST(TimedWaitTest, WakeWithoutAReasonEndsNoWait) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    ForEachTimedWait(
        io, [&](const char* name, auto wait, auto waiters, auto grant) {
          SCOPED_TRACE(name);
          std::atomic<Task*> task{nullptr};
          auto waiting = StartWait(io, task, 1h, wait);
          YieldUntil(io, [&] { return waiters() == 1; });
          for (int i = 0; i < 100; ++i) {
            io.Interrupt(*task);
            io.Yield();
            EXPECT_FALSE(waiting.ready());
          }
          EXPECT_EQ(waiters(), 1u);
          grant(io);
          EXPECT_TRUE(waiting.Await(io));
          EXPECT_EQ(waiters(), 0u);
        });
  });
}

TYPED_TEST(TimedWaitTest, TimeoutComesNotBeforeItsTime) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    ForEachTimedWait(io, [&](const char* name, auto wait, auto waiters, auto) {
      SCOPED_TRACE(name);
      for (const Duration span : {Duration(0), Duration(3ms)}) {
        std::atomic<Task*> task{nullptr};
        const MonotonicTime begin = io.Now();
        auto waiting = StartWait(io, task, span, wait);
        while (!waiting.ready()) {
          io.Interrupt(*task);
          io.Yield();
        }
        EXPECT_FALSE(waiting.Await(io));
        EXPECT_GE(io.Now() - begin, span);
        EXPECT_EQ(waiters(), 0u);
      }
    });
  });
}

// What is given at the moment of the timeout goes to the waiter, and then it
// says so, or it is still there.
TYPED_TEST(TimedWaitTest, GiftThatMeetsTheTimeoutIsThereOnce) {
  using B = typename TypeParam::Io;
  const Seed seed;
  RunOn<TypeParam>([&](B& io) {
    std::mt19937 random = seed.GeneratorFor(0);
    ForEachGift(io, [&](const char* name, auto wait, auto waiters, auto grant) {
      SCOPED_TRACE(name);
      for (int round = 0; round < 300; ++round) {
        std::atomic<Task*> task{nullptr};
        const Duration span = std::chrono::microseconds(random() % 60);
        auto waiting = StartWait(io, task, span, wait);
        for (auto i = random() % 10; i > 0; --i) io.Yield();
        grant(io);
        const bool received = waiting.Await(io);
        EXPECT_EQ(wait(io, received ? Duration(1us) : Duration(1h)), !received);
        EXPECT_EQ(waiters(), 0u);
      }
    });
  });
}

TYPED_TEST(TimedWaitTest, SleepIsNotCutShort) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    std::atomic<Task*> task{nullptr};
    const MonotonicTime begin = io.Now();
    auto sleeping = StartWait(io, task, 5ms, [](B& own, Duration span) {
      return Sleep(own, span).ok();
    });
    while (!sleeping.ready()) {
      io.Interrupt(*task);
      io.Yield();
    }
    EXPECT_TRUE(sleeping.Await(io));
    EXPECT_GE(io.Now() - begin, 5ms);
  });
}

// --- More than 65,535 -------------------------------------------------------

constexpr uint32_t kMany = 70'000;

TYPED_TEST(TimedWaitTest, CountsHaveMoreThanSixteenBits) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    Semaphore<B> semaphore(0, kMany);
    auto all = Async(io, [&](B& own) { return semaphore.Acquire(own, kMany); });
    YieldUntil(io, [&] { return semaphore.waiters() == 1; });
    semaphore.Release(io, kMany - 1);
    EXPECT_EQ(semaphore.waiters(), 1u);
    semaphore.Release(io);
    EXPECT_TRUE(all.Await(io).ok());

    Latch<B> latch(kMany);
    for (uint32_t i = 1; i < kMany; ++i) latch.CountDown(io);
    EXPECT_EQ(latch.count(), 1u);
    EXPECT_TRUE(absl::IsDeadlineExceeded(latch.WaitFor(io, 0ns)));
    latch.CountDown(io);
    EXPECT_TRUE(latch.Wait(io).ok());

    SharedMutex<B> mutex;
    for (uint32_t i = 0; i < kMany; ++i) mutex.LockShared(io);
    EXPECT_EQ(mutex.readers(), kMany);
    for (uint32_t i = 0; i < kMany; ++i) {
      EXPECT_FALSE(mutex.TryLock(io));
      mutex.UnlockShared(io);
    }
    EXPECT_TRUE(mutex.TryLock(io));
    mutex.Unlock(io);
  });
}

// A task that waits in several places at once.
template <size_t... kBranches, Backend B>
absl::Status WaitManyTimes(std::index_sequence<kBranches...>, B& io,
                           Event<B>& event, Channel<int, B>& channel) {
  const auto ignore = [](auto&&) {};
  const auto on_event = [&](size_t) { return OnEvent(event); };
  const auto on_receive = [&](size_t) { return OnReceive(channel, ignore); };
  return Select(io, on_event(kBranches)..., on_receive(kBranches)...).status();
}

// Where there may be that many tasks; the others have fewer waiters.
TYPED_TEST(TimedWaitTest, WaitersAreMoreThanSixteenBitsCanCount) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    constexpr size_t kPlaces = internal::kMaxSelectBranches / 2;
    constexpr size_t kTasks =
        std::min<size_t>(TypeParam::kManyTasks, kMany / kPlaces);
    constexpr size_t kWaiters = kTasks * kPlaces;
    Event<B> event;
    Channel<int, B> channel(0);
    std::atomic<size_t> started{0};
    TaskGroup<B> group(io);
    for (size_t i = 0; i < kTasks; ++i) {
      group.Spawn([&](B& own) {
        started.fetch_add(1);
        return WaitManyTimes(std::make_index_sequence<kPlaces>(), own, event,
                             channel);
      });
    }
    // To count them takes time in proportion.
    YieldUntil(io, [&] { return started == kTasks; });
    YieldUntil(io, [&] {
      return event.waiters() == kWaiters &&
             channel.waiting_receivers() == kWaiters;
    });
    // One receiver goes, with all its places; the others stay.
    EXPECT_TRUE(channel.TrySend(io, 1).ok());
    YieldUntil(io, [&] { return group.running() == kTasks - 1; });
    EXPECT_EQ(event.waiters(), kWaiters - kPlaces);
    EXPECT_EQ(channel.waiting_receivers(), kWaiters - kPlaces);
    event.Set(io);
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_EQ(event.waiters(), 0u);
    EXPECT_EQ(channel.waiting_receivers(), 0u);
  });
}

}  // namespace
}  // namespace weft
