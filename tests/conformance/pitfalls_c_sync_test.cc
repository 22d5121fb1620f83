// Pitfalls C4 and C5, on every backend: what primitives are like after some of
// their waiters have given up.
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "weft/runtime/future.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/barrier.h"
#include "weft/sync/broadcast.h"
#include "weft/sync/channel.h"
#include "weft/sync/condition.h"
#include "weft/sync/event.h"
#include "weft/sync/latch.h"
#include "weft/sync/mutex.h"
#include "weft/sync/select.h"
#include "weft/sync/semaphore.h"
#include "weft/sync/shared_mutex.h"
#include "weft/tests/conformance/backends.h"

namespace weft {
namespace {

using namespace std::chrono_literals;
using testing::RunOn;
using testing::YieldUntil;

template <class Config>
class PitfallC : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(PitfallC, testing::Backends, testing::BackendNames);

// --- C4: a primitive is right after its waiters gave up ---------------------

// Of three waiters two give up; `give` lets the third go.
template <Backend B, class WaitFn, class Waiters, class Give>
void TwoOfThreeGiveUp(B& io, WaitFn wait, Waiters waiters, Give give) {
  std::vector<Future<absl::Status, B>> waiting;
  for (size_t i = 0; i < 3; ++i) {
    waiting.push_back(Async(io, wait));
    YieldUntil(io, [&] { return waiters() == i + 1; });
  }
  for (const size_t i : {size_t{1}, size_t{0}}) {
    waiting[i].Cancel();
    EXPECT_TRUE(absl::IsCancelled(waiting[i].Await(io)));
    EXPECT_EQ(waiters(), i + 1);
  }
  give(io);
  EXPECT_TRUE(waiting[2].Await(io).ok());
  EXPECT_EQ(waiters(), 0u);
}

// The same, and afterwards it still does what it is for.
template <Backend B, class WaitFn, class Waiters, class Give>
void GiveUpAndUse(B& io, WaitFn wait, Waiters waiters, Give give) {
  TwoOfThreeGiveUp(io, wait, waiters, give);
  auto next = Async(io, wait);
  YieldUntil(io, [&] { return waiters() == 1; });
  give(io);
  EXPECT_TRUE(next.Await(io).ok());
  EXPECT_EQ(waiters(), 0u);
}

TYPED_TEST(PitfallC, C4SignalsAreRightAfterACancelledWaiter) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Event<B> event;
    const auto set_and_reset = [&](B& own) {
      event.Set(own);
      event.Reset();
    };
    GiveUpAndUse(
        io, [&](B& own) { return event.Wait(own); },
        [&] { return event.waiters(); }, set_and_reset);
    Mutex<B> mutex;
    Condition<B> condition;
    GiveUpAndUse(
        io,
        [&](B& own) {
          MutexLock lock(mutex, own);
          return condition.Wait(own, mutex);
        },
        [&] { return condition.waiters(); },
        [&](B& own) { condition.NotifyOne(own); });
    EXPECT_TRUE(mutex.TryLock(io));
    mutex.Unlock(io);
    Latch<B> latch(1);
    TwoOfThreeGiveUp(
        io, [&](B& own) { return latch.Wait(own); },
        [&] { return latch.waiters(); }, [&](B& own) { latch.CountDown(own); });
    Barrier<B> barrier(4);
    // With the one that is left they are four.
    const auto fill = [&](B& own) {
      TaskGroup<B> group(own);
      for (int i = 0; i < 2; ++i) {
        group.Spawn([&](B& other) { return barrier.Wait(other); });
      }
      EXPECT_TRUE(barrier.Wait(own).ok());
      EXPECT_TRUE(group.Await(own).ok());
    };
    TwoOfThreeGiveUp(
        io, [&](B& own) { return barrier.Wait(own); },
        [&] { return barrier.waiters(); }, fill);
    Channel<int, B> channel(0);
    GiveUpAndUse(
        io,
        [&](B& own) {
          return Select(own, OnReceive(channel, [](auto&&) { ADD_FAILURE(); }),
                        OnEvent(event), After(1h))
              .status();
        },
        [&] { return event.waiters(); }, set_and_reset);
    EXPECT_EQ(channel.waiting_receivers(), 0u);
  });
}

TYPED_TEST(PitfallC, C4QueuesAreRightAfterACancelledWaiter) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Channel<int, B> channel(0);
    GiveUpAndUse(
        io, [&](B& own) { return channel.Receive(own).status(); },
        [&] { return channel.waiting_receivers(); },
        [&](B& own) { EXPECT_TRUE(channel.TrySend(own, 1).ok()); });
    GiveUpAndUse(
        io, [&](B& own) { return channel.Send(own, 1); },
        [&] { return channel.waiting_senders(); },
        [&](B& own) { EXPECT_EQ(channel.TryReceive(own).value(), 1); });
    Broadcast<int, B> broadcast(1);
    GiveUpAndUse(
        io,
        [&](B& own) {
          BroadcastReceiver<int, B> receiver(broadcast);
          return receiver.Receive(own).status();
        },
        [&] { return broadcast.waiters(); },
        [&](B& own) { EXPECT_TRUE(broadcast.Send(own, 1).ok()); });
    EXPECT_EQ(broadcast.receivers(), 0u);
  });
}

TYPED_TEST(PitfallC, C4PermitsAreRightAfterACancelledWaiter) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Semaphore<B> semaphore(1, 3);
    // Each wants more than there is; the one that is there stays.
    GiveUpAndUse(
        io, [&](B& own) { return semaphore.Acquire(own, 2); },
        [&] { return semaphore.waiters(); },
        [&](B& own) { semaphore.Release(own, 2); });
    EXPECT_EQ(semaphore.permits(), 1u);
  });
}

TYPED_TEST(PitfallC, C4LocksAreRightAfterACancelledWaiter) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    SharedMutex<B> shared;
    shared.LockShared(io);
    // Writers give up before a reader, and the other way round.
    for (const bool writer_waits : {true, false}) {
      auto waiter = Async(io, [&](B& own) ABSL_NO_THREAD_SAFETY_ANALYSIS {
        return shared.LockUnlessCancelled(own);
      });
      YieldUntil(io, [&] { return shared.waiters() == 1; });
      auto reader = Async(io, [&](B& own) ABSL_NO_THREAD_SAFETY_ANALYSIS {
        if (!shared.LockSharedUnlessCancelled(own)) return false;
        shared.UnlockShared(own);
        return true;
      });
      YieldUntil(io, [&] { return shared.waiters() == 2; });
      if (!writer_waits) {
        reader.Cancel();
        EXPECT_FALSE(reader.Await(io));
        EXPECT_EQ(shared.waiters(), 1u);
      }
      waiter.Cancel();
      EXPECT_FALSE(waiter.Await(io));
      if (writer_waits) {
        EXPECT_TRUE(reader.Await(io));
      }
      EXPECT_EQ(shared.waiters(), 0u);
      EXPECT_EQ(shared.readers(), 1u);
    }
    shared.UnlockShared(io);
    EXPECT_TRUE(shared.TryLock(io));
    shared.Unlock(io);
    // A Mutex is not given up on a cancel, only on its own time.
    Mutex<B> mutex;
    mutex.Lock(io);
    auto waiter = Async(io, [&](B& own) ABSL_NO_THREAD_SAFETY_ANALYSIS {
      return mutex.TryLockFor(own, 2ms);
    });
    EXPECT_FALSE(waiter.Await(io));
    EXPECT_EQ(mutex.waiters(), 0u);
    mutex.Unlock(io);
    EXPECT_TRUE(mutex.TryLock(io));
    mutex.Unlock(io);
  });
}

// --- C5: a wake that meets a cancel is passed on ----------------------------

// Of two waiters the first is cancelled at the moment of `give`. Whatever wins
// the race, exactly one of them has got what was given. True if it was the
// first.
template <Backend B, class WaitFn, class Waiters, class Give>
bool FirstOfTwoGotIt(B& io, int round, WaitFn wait, Waiters waiters,
                     Give give) {
  auto first = Async(io, wait);
  YieldUntil(io, [&] { return waiters() == 1; });
  auto second = Async(io, wait);
  YieldUntil(io, [&] { return waiters() == 2; });
  auto giver = Async(io, [&](B& own) { give(own); });
  if (round % 2 == 0) io.Yield();
  first.Cancel();
  giver.Await(io);
  const absl::Status status = first.Await(io);
  if (status.ok()) {
    EXPECT_EQ(waiters(), 1u);
    give(io);
  } else {
    EXPECT_TRUE(absl::IsCancelled(status));
  }
  // Hangs if the wake was swallowed.
  EXPECT_TRUE(second.Await(io).ok());
  return status.ok();
}

TYPED_TEST(PitfallC, C5PermitOfACancelledWaiterIsPassedOn) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (int round = 0; round < 500; ++round) {
      Semaphore<B> semaphore(0, 1);
      FirstOfTwoGotIt(
          io, round, [&](B& own) { return semaphore.Acquire(own); },
          [&] { return semaphore.waiters(); },
          [&](B& own) { semaphore.Release(own); });
      EXPECT_EQ(semaphore.permits(), 0u);
    }
  });
}

TYPED_TEST(PitfallC, C5NotifyOfACancelledWaiterIsPassedOn) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (int round = 0; round < 500; ++round) {
      Mutex<B> mutex;
      Condition<B> condition;
      FirstOfTwoGotIt(
          io, round,
          [&](B& own) {
            MutexLock lock(mutex, own);
            return condition.Wait(own, mutex);
          },
          [&] { return condition.waiters(); },
          [&](B& own) { condition.NotifyOne(own); });
    }
  });
}

TYPED_TEST(PitfallC, C5ValueForACancelledReceiverIsPassedOn) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (int round = 0; round < 500; ++round) {
      Channel<int, B> channel(1);
      FirstOfTwoGotIt(
          io, round, [&](B& own) { return channel.Receive(own).status(); },
          [&] { return channel.waiting_receivers(); },
          [&](B& own) { EXPECT_TRUE(channel.TrySend(own, 1).ok()); });
      EXPECT_EQ(channel.size(), 0u);
    }
  });
}

}  // namespace
}  // namespace weft
