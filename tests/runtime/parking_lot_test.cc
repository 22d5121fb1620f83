#include "weft/runtime/internal/parking_lot.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <thread>
#include <vector>

namespace weft::internal {
namespace {

// Says how often it was resumed, and in which order.
class CountedWaiter final : public Waiter {
 public:
  explicit CountedWaiter(std::vector<CountedWaiter*>* order = nullptr)
      : order_(order) {}

  int resumed() const { return resumed_.load(std::memory_order_acquire); }

 private:
  void Resume() override {
    if (order_ != nullptr) order_->push_back(this);
    resumed_.fetch_add(1, std::memory_order_release);
  }

  std::vector<CountedWaiter*>* const order_;
  std::atomic<int> resumed_{0};
};

TEST(ParkingLotTest, WaiterEntersOnlyWhileTheWordHoldsTheValue) {
  std::atomic<uint32_t> word{7};
  CountedWaiter waiter;
  EXPECT_FALSE(ParkingLot::Enter(waiter, word, 8));
  EXPECT_EQ(ParkingLot::Wake(word, 1), 0u);
  EXPECT_TRUE(ParkingLot::Enter(waiter, word, 7));
  EXPECT_EQ(ParkingLot::Wake(word, 1), 1u);
  EXPECT_EQ(waiter.resumed(), 1);
}

TEST(ParkingLotTest, WakeTakesTheFirstComers) {
  std::atomic<uint32_t> word{0};
  std::vector<CountedWaiter*> order;
  std::deque<CountedWaiter> waiters;
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(ParkingLot::Enter(waiters.emplace_back(&order), word, 0));
  }
  EXPECT_EQ(ParkingLot::Wake(word, 0), 0u);
  EXPECT_EQ(ParkingLot::Wake(word, 2), 2u);
  EXPECT_EQ(order, (std::vector{&waiters[0], &waiters[1]}));
  EXPECT_EQ(ParkingLot::Wake(word, UINT32_MAX), 3u);
  EXPECT_EQ(order, (std::vector{&waiters[0], &waiters[1], &waiters[2],
                                &waiters[3], &waiters[4]}));
  EXPECT_EQ(ParkingLot::Wake(word, UINT32_MAX), 0u);
}

TEST(ParkingLotTest, RemovedWaiterIsNotResumed) {
  std::atomic<uint32_t> word{0};
  CountedWaiter first;
  CountedWaiter second;
  ASSERT_TRUE(ParkingLot::Enter(first, word, 0));
  ASSERT_TRUE(ParkingLot::Enter(second, word, 0));
  EXPECT_TRUE(ParkingLot::Remove(first));
  EXPECT_FALSE(ParkingLot::Remove(first));
  EXPECT_EQ(ParkingLot::Wake(word, UINT32_MAX), 1u);
  EXPECT_EQ(first.resumed(), 0);
  EXPECT_EQ(second.resumed(), 1);
  EXPECT_FALSE(ParkingLot::Remove(second));
}

TEST(ParkingLotTest, WakeReachesOnlyWaitersOfItsWord) {
  // Far more words than buckets, so that some share one.
  constexpr size_t kWords = 20000;
  std::vector<std::atomic<uint32_t>> words(kWords);
  std::deque<CountedWaiter> waiters(kWords);
  for (size_t i = 0; i < kWords; ++i) {
    ASSERT_TRUE(ParkingLot::Enter(waiters[i], words[i], 0));
  }
  for (size_t i = 0; i < kWords; i += 2) {
    EXPECT_EQ(ParkingLot::Wake(words[i], UINT32_MAX), 1u);
  }
  for (size_t i = 0; i < kWords; ++i) {
    EXPECT_EQ(waiters[i].resumed(), i % 2 == 0 ? 1 : 0);
  }
  for (size_t i = 1; i < kWords; i += 2) {
    EXPECT_TRUE(ParkingLot::Remove(waiters[i]));
  }
}

TEST(ParkingLotTest, WaiterMayEnterAgainWhenResumed) {
  std::atomic<uint32_t> word{0};
  CountedWaiter waiter;
  for (int i = 1; i <= 3; ++i) {
    ASSERT_TRUE(ParkingLot::Enter(waiter, word, 0));
    EXPECT_EQ(ParkingLot::Wake(word, 1), 1u);
    EXPECT_EQ(waiter.resumed(), i);
  }
}

// Waiters come, give up or wait to be resumed, while others wake: each of
// them ends in exactly one of the two ways, and the counts of Wake add up.
TEST(ParkingLotTest, WaiterIsEitherResumedOnceOrRemovedOnce) {
  constexpr int kRounds = 20000;
  constexpr int kThreads = 3;
  std::atomic<uint32_t> word{0};
  std::atomic<int> running{kThreads};
  std::atomic<int64_t> removed{0};
  std::atomic<int64_t> resumed{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        CountedWaiter waiter;
        while (!ParkingLot::Enter(waiter, word, 0)) std::this_thread::yield();
        if (ParkingLot::Remove(waiter)) {
          EXPECT_EQ(waiter.resumed(), 0);
          removed.fetch_add(1);
          continue;
        }
        while (waiter.resumed() == 0) std::this_thread::yield();
        EXPECT_EQ(waiter.resumed(), 1);
        resumed.fetch_add(1);
      }
      running.fetch_sub(1);
    });
  }
  std::atomic<int64_t> woken{0};
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&, i] {
      while (running.load() > 0) {
        word.store(1);
        woken.fetch_add(ParkingLot::Wake(word, i == 0 ? 1 : UINT32_MAX));
        word.store(0);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(removed.load() + resumed.load(), kThreads * kRounds);
  EXPECT_EQ(woken.load(), resumed.load());
  EXPECT_EQ(ParkingLot::Wake(word, UINT32_MAX), 0u);
}

// A waker that changed the word before it called Wake is never missed.
TEST(ParkingLotTest, NoWakeIsLost) {
  constexpr uint32_t kRounds = 20000;
  std::atomic<uint32_t> word{0};
  std::thread waker([&] {
    for (uint32_t i = 1; i <= kRounds; ++i) {
      word.store(i);
      ParkingLot::Wake(word, 1);
    }
  });
  for (uint32_t seen = word.load(); seen != kRounds; seen = word.load()) {
    CountedWaiter waiter;
    if (!ParkingLot::Enter(waiter, word, seen)) continue;
    while (waiter.resumed() == 0) std::this_thread::yield();
  }
  waker.join();
}

}  // namespace
}  // namespace weft::internal
