// What sync/ offers a backend that explores schedules, without such a backend:
// the cores run on explored atomics in one task of Threaded, and the explorer
// is the test.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "weft/backends/threaded/threaded.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/options.h"
#include "weft/sync/internal/barrier_core.h"
#include "weft/sync/internal/broadcast_core.h"
#include "weft/sync/internal/channel_core.h"
#include "weft/sync/internal/condition_core.h"
#include "weft/sync/internal/event_core.h"
#include "weft/sync/internal/latch_core.h"
#include "weft/sync/internal/mutex_core.h"
#include "weft/sync/internal/once_core.h"
#include "weft/sync/internal/select_core.h"
#include "weft/sync/internal/semaphore_core.h"
#include "weft/sync/internal/shared_mutex_core.h"

namespace weft::internal {
namespace {

using Explored = ExploredAtomics;

// Counts points, and runs `overtake` at one of them.
class TestExplorer final : public Explorer {
 public:
  TestExplorer() { current_explorer = this; }
  ~TestExplorer() { current_explorer = nullptr; }
  TestExplorer(const TestExplorer&) = delete;
  TestExplorer& operator=(const TestExplorer&) = delete;

  void Point(const void* object) override {
    points.push_back(object);
    if (points.size() != overtake_at) return;
    overtake();
  }
  void WaitForLock(const void* lock) override {
    waited_for.push_back(lock);
    release();
  }
  void LockReleased(const void* lock) override { released.push_back(lock); }

  std::vector<const void*> points;
  std::vector<const void*> waited_for;
  std::vector<const void*> released;
  size_t overtake_at = 0;  // counted from 1; 0 is never
  std::function<void()> overtake;
  std::function<void()> release;
};

// How many points there are in `fn`.
size_t PointsIn(const std::function<void()>& fn) {
  TestExplorer explorer;
  fn();
  return explorer.points.size();
}

TEST(ExploredAtomicTest, EachAccessIsOnePoint) {
  ExploredAtomic<uint32_t> number{0};
  uint32_t expected = 0;
  const std::vector<std::function<void()>> accesses = {
      [&] { (void)number.load(); },
      [&] { number.store(1); },
      [&] { number.exchange(2); },
      [&] { (void)number.compare_exchange_strong(expected, 3); },
      [&] { (void)number.compare_exchange_weak(expected, 3); },
      [&] { number.fetch_add(1); },
      [&] { number.fetch_sub(1); },
      [&] { number.fetch_or(1); },
      [&] { number.fetch_and(1); },
      [&] { number.fetch_xor(1); },
      [&] { number = 5; },
      [&] { expected = number; },
      [&] { ++number; },
      [&] { number++; },
      [&] { --number; },
      [&] { number--; },
      [&] { number += 2; },
      [&] { number -= 2; },
      [&] { number |= 8; },
      [&] { number &= 12; },
      [&] { number ^= 1; },
  };
  for (size_t i = 0; i < accesses.size(); ++i) {
    TestExplorer explorer;
    accesses[i]();
    EXPECT_EQ(explorer.points, std::vector<const void*>{&number}) << i;
  }
}

TEST(ExploredAtomicTest, ComputesWhatStdAtomicComputes) {
  const auto run = [](auto& number) {
    std::vector<uint32_t> results;
    uint32_t expected = 0;
    results.push_back(number = 6);
    results.push_back(number.exchange(9));
    results.push_back(number.compare_exchange_strong(expected, 1));
    results.push_back(number.compare_exchange_strong(expected, 12));
    results.push_back(expected);
    results.push_back(++number);
    results.push_back(number++);
    results.push_back(--number);
    results.push_back(number--);
    results.push_back(number += 7);
    results.push_back(number -= 3);
    results.push_back(number |= 32);
    results.push_back(number &= 49);
    results.push_back(number ^= 17);
    results.push_back(number.fetch_xor(3));
    results.push_back(number.fetch_or(4));
    results.push_back(number.fetch_and(6));
    results.push_back(number.fetch_add(5));
    results.push_back(number.fetch_sub(1));
    results.push_back(number.load());
    return results;
  };
  ExploredAtomic<uint32_t> explored{0};
  std::atomic<uint32_t> native{0};
  EXPECT_EQ(run(explored), run(native));

  int items[4] = {};
  ExploredAtomic<int*> pointer{items};
  EXPECT_EQ(pointer.fetch_add(2), items);
  EXPECT_EQ(++pointer, items + 3);
  EXPECT_EQ(pointer -= 2, items + 1);
}

TEST(ExploredLockTest, WaitsWithTheExplorer) {
  ExploredLock lock;
  lock.lock();
  TestExplorer explorer;
  explorer.release = [&] { lock.unlock(); };
  EXPECT_FALSE(lock.try_lock());
  lock.lock();
  EXPECT_EQ(explorer.waited_for, std::vector<const void*>{&lock});
  EXPECT_EQ(explorer.released, std::vector<const void*>{&lock});
  lock.unlock();
  EXPECT_EQ(explorer.released.size(), 2u);
  EXPECT_TRUE(lock.try_lock());
  lock.unlock();
}

// A task that is overtaken at any of its accesses takes no permit twice.
TEST(ExploredCoresTest, PermitGoesToOneOfTwoThatOvertakeEachOther) {
  const auto take = [](SemaphoreCore<Explored>& permits, bool& taken) {
    taken = permits.TryAcquire(1);
  };
  SemaphoreCore<Explored> measured(1, 1);
  bool ignored = false;
  const size_t points = PointsIn([&] { take(measured, ignored); });
  ASSERT_GE(points, 2u);
  for (size_t at = 1; at <= points; ++at) {
    SemaphoreCore<Explored> permits(1, 1);
    bool first = false;
    bool second = false;
    TestExplorer explorer;
    explorer.overtake_at = at;
    explorer.overtake = [&] { take(permits, second); };
    take(permits, first);
    EXPECT_TRUE(second) << at;
    EXPECT_FALSE(first) << at;
    EXPECT_EQ(permits.permits(), 0u);
  }
}

class ExploredCoresOnThreadedTest : public ::testing::Test {
 protected:
  // Runs in the one task that there is: this thread.
  std::unique_ptr<Threaded> io_owner_ = *Threaded::Create(Options());
  Threaded& io_ = *io_owner_;
};

TEST_F(ExploredCoresOnThreadedTest, MutexAndConditionAreExplored) {
  MutexCore<Explored> mutex;
  ConditionCore<Explored> changed;
  // Who holds it is no point, for only the holder can tell.
  EXPECT_EQ(PointsIn([&] { mutex.Lock(io_, "test"); }), 1u);
  EXPECT_GE(PointsIn([&] { changed.NotifyOne(io_); }), 1u);
  EXPECT_GE(PointsIn([&] {
              EXPECT_TRUE(absl::IsDeadlineExceeded(
                  changed.Wait(io_, mutex, After(io_.Now(), Duration(0)))));
            }),
            8u);
  EXPECT_TRUE(mutex.HeldBy(io_.CurrentTask("test")));
  EXPECT_EQ(PointsIn([&] { mutex.Unlock(io_); }), 1u);
}

TEST_F(ExploredCoresOnThreadedTest, SharedMutexIsExplored) {
  SharedMutexCore<Explored> mutex;
  using Wait = SharedMutexCore<Explored>::Wait;
  EXPECT_GE(
      PointsIn([&] {
        EXPECT_TRUE(mutex.LockShared(io_, "test", kNever, Wait::kThrough));
        EXPECT_FALSE(mutex.TryLock(io_));
        mutex.UnlockShared(io_);
      }),
      5u);
}

TEST_F(ExploredCoresOnThreadedTest, EventLatchBarrierAndOnceAreExplored) {
  EventCore<Explored> event;
  EXPECT_GE(PointsIn([&] { event.Set(io_); }), 2u);
  EXPECT_GE(PointsIn([&] { EXPECT_TRUE(event.Wait(io_, kNever).ok()); }), 1u);
  LatchCore<Explored> latch(1);
  EXPECT_GE(PointsIn([&] { latch.CountDown(io_, 1); }), 2u);
  EXPECT_GE(PointsIn([&] { EXPECT_TRUE(latch.Wait(io_, kNever).ok()); }), 1u);
  BarrierCore<Explored> barrier(1);
  EXPECT_GE(PointsIn([&] { EXPECT_TRUE(barrier.Wait(io_, kNever).ok()); }), 1u);
  OnceCore<Explored> once;
  EXPECT_GE(PointsIn([&] {
              EXPECT_TRUE(once.Begin(io_, kNever).ok());
              once.Succeed(io_);
            }),
            3u);
  EXPECT_TRUE(once.done());
}

TEST_F(ExploredCoresOnThreadedTest, ChannelBroadcastAndSelectAreExplored) {
  const ValueType type = {.size = sizeof(int),
                          .alignment = alignof(int),
                          .move =
                              [](void* to, void* from) noexcept {
                                *static_cast<int*>(to) =
                                    *static_cast<int*>(from);
                              },
                          .destroy = [](void*) noexcept {}};
  ChannelCore<Explored> channel(type, 1);
  int sent = 7;
  int received = 0;
  EXPECT_GE(PointsIn([&] { EXPECT_TRUE(channel.Send(io_, &sent).ok()); }), 1u);

  BroadcastCore<Explored> broadcast(1);
  BroadcastCore<Explored>::Receiver receiver(broadcast);
  EventCore<Explored> event;
  ChannelCore<Explored>::Branch receive(
      channel, ChannelCore<Explored>::Branch::Side::kReceive, &received);
  BroadcastCore<Explored>::Branch receive_all(receiver);
  EventCore<Explored>::Branch set(event);
  TimerBranch<Explored> timer{Duration(0)};
  const std::array<SelectBranch<Explored>*, 4> all = {&set, &receive_all,
                                                      &receive, &timer};
  // The channel's lock; which others are looked at before it is left to chance.
  EXPECT_GE(PointsIn([&] { EXPECT_EQ(*RunSelect(io_, all), 2u); }), 1u);
  EXPECT_EQ(received, 7);

  EXPECT_GE(PointsIn([&] {
              const auto value = std::make_shared<const int>(8);
              EXPECT_TRUE(broadcast.Send(io_, value).ok());
              EXPECT_TRUE(receiver.Receive(io_, kNever).ok());
            }),
            2u);
  // Nothing is there: it enlists, parks until the time is up and leaves.
  const std::array<SelectBranch<Explored>*, 4> again = {&set, &receive_all,
                                                        &receive, &timer};
  EXPECT_GE(PointsIn([&] { EXPECT_EQ(*RunSelect(io_, again), 3u); }), 8u);
  EXPECT_EQ(event.waiters(), 0u);
  EXPECT_EQ(channel.waiting_receivers(), 0u);
  EXPECT_EQ(broadcast.waiters(), 0u);
}

}  // namespace
}  // namespace weft::internal
