// FutexWait and FutexWake, on every backend.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <ostream>
#include <thread>
#include <vector>

#include "weft/runtime/future.h"
#include "weft/runtime/io.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/task_group.h"
#include "weft/tests/conformance/backends.h"
#include "weft/tests/conformance/wait_watch.h"

namespace weft {

// For messages of tests.
void PrintTo(WakeReason reason, std::ostream* out) {
  static constexpr const char* kNames[] = {"woken", "value differed",
                                           "deadline", "interrupted"};
  *out << kNames[static_cast<size_t>(reason)];
}

namespace {

using namespace std::chrono_literals;
using testing::RunOn;
using testing::WaitWatch;
using testing::YieldUntil;

// Long enough to never pass in a test that works.
constexpr Duration kFarAway = 1h;

template <class Config>
class FutexTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(FutexTest, testing::Backends, testing::BackendNames);

// What needs the kernel or threads of the host program.
template <class Config>
using FutexKernelTest = FutexTest<Config>;
TYPED_TEST_SUITE(FutexKernelTest, testing::KernelBackends,
                 testing::BackendNames);

// Wakes one waiter of `word`, once it is there.
void WakeOne(Io& io, std::atomic<uint32_t>& word) {
  YieldUntil(io, [&] { return io.FutexWake(word, 1) == 1; });
}

TYPED_TEST(FutexTest, WaiterIsWoken) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    std::atomic<uint32_t> word{7};
    auto waiter = Async(io, [&] { return io.FutexWait(word, 7, {}); });
    WakeOne(io, word);
    EXPECT_EQ(waiter.Await(io), WakeReason::kWoken);
    EXPECT_EQ(io.FutexWake(word, 1), 0u);
  });
}

TYPED_TEST(FutexTest, OtherValueReturnsAtOnce) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    std::atomic<uint32_t> word{7};
    EXPECT_EQ(io.FutexWait(word, 8, {}), WakeReason::kValueDiffered);
    EXPECT_EQ(io.FutexWait(word, 8, {.deadline = MonotonicTime(Duration(1))}),
              WakeReason::kValueDiffered);
    CancelScope scope(io);
    scope.Cancel();
    EXPECT_EQ(io.FutexWait(word, 8, {}), WakeReason::kValueDiffered);
  });
}

TYPED_TEST(FutexTest, DeadlineEndsTheWait) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    const std::atomic<uint32_t> word{0};
    for (const bool interruptible : {true, false}) {
      const MonotonicTime deadline = io.Now() + 5ms;
      EXPECT_EQ(
          io.FutexWait(word, 0,
                       {.deadline = deadline, .interruptible = interruptible}),
          WakeReason::kDeadline);
      EXPECT_GE(io.Now(), deadline);
    }
    EXPECT_EQ(io.FutexWait(word, 0, {.deadline = MonotonicTime(Duration(1))}),
              WakeReason::kDeadline);
    EXPECT_EQ(io.FutexWake(word, UINT32_MAX), 0u);
  });
}

TYPED_TEST(FutexTest, DeadlineOfTheScopeIsAnInterruption) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    const std::atomic<uint32_t> word{0};
    {
      const Deadline deadline(io, 5ms);
      EXPECT_EQ(io.FutexWait(word, 0, {}), WakeReason::kInterrupted);
      EXPECT_TRUE(absl::IsDeadlineExceeded(CheckCancelled(io)));
    }
    // The earlier of the two counts.
    const Deadline later(io, kFarAway);
    EXPECT_EQ(io.FutexWait(word, 0, {.deadline = io.Now() + 5ms}),
              WakeReason::kDeadline);
  });
}

TYPED_TEST(FutexTest, CancelInterruptsTheWait) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    const std::atomic<uint32_t> word{0};
    for (int yields = 0; yields < 30; ++yields) {
      CancelScope scope(io);
      auto canceller = Async(io, [&](B& own) {
        for (int i = 0; i < yields; ++i) own.Yield();
        scope.Cancel();
      });
      EXPECT_EQ(io.FutexWait(word, 0, {.deadline = io.Now() + kFarAway}),
                WakeReason::kInterrupted);
      const Shield shield(io);
      canceller.Await(io);
    }
    EXPECT_EQ(io.FutexWake(word, UINT32_MAX), 0u);
  });
}

TYPED_TEST(FutexTest, UninterruptibleWaitIgnoresCancelsAndScopes) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    std::atomic<uint32_t> word{0};
    CancelScope scope(io);
    scope.Cancel();
    const Deadline over(io, 0ms);
    EXPECT_EQ(
        io.FutexWait(word, 0,
                     {.deadline = io.Now() + 5ms, .interruptible = false}),
        WakeReason::kDeadline);
    std::atomic<bool> woken{false};
    auto waiter = Async(io, [&](B& own) {
      const WakeReason reason =
          own.FutexWait(word, 0, {.interruptible = false});
      woken = true;
      return reason;
    });
    waiter.Cancel();
    for (int i = 0; i < 50; ++i) io.Yield();
    EXPECT_FALSE(woken);
    WakeOne(io, word);
    EXPECT_EQ(waiter.Await(io), WakeReason::kWoken);
  });
}

TYPED_TEST(FutexKernelTest, WaitersWakeInTheOrderOfTheirComing) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    constexpr size_t kWaiters = 20;
    std::atomic<uint32_t> word{0};
    std::deque<WaitWatch> watches(kWaiters);
    std::vector<Future<WakeReason, B>> waiters;
    for (size_t i = 0; i < kWaiters; ++i) {
      waiters.push_back(Async(io, [&, i](B& own) {
        watches[i].Begin();
        return own.FutexWait(word, 0, {});
      }));
      // Parks before the next one comes.
      watches[i].AwaitParked(io);
    }
    for (auto& waiter : waiters) {
      EXPECT_EQ(io.FutexWake(word, 1), 1u);
      // If another one had been woken, this would never end.
      EXPECT_EQ(waiter.Await(io), WakeReason::kWoken);
    }
  });
}

TYPED_TEST(FutexTest, WakeCountsWhomItWoke) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    constexpr uint32_t kWaiters = 10;
    std::atomic<uint32_t> word{0};
    std::atomic<uint32_t> woken{0};
    TaskGroup<B> group(io);
    for (uint32_t i = 0; i < kWaiters; ++i) {
      group.Spawn([&] {
        EXPECT_EQ(io.FutexWait(word, 0, {}), WakeReason::kWoken);
        woken.fetch_add(1);
      });
    }
    EXPECT_EQ(io.FutexWake(word, 0), 0u);
    uint32_t counted = 0;
    YieldUntil(io, [&] {
      counted += io.FutexWake(word, 3);
      return counted == kWaiters;
    });
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_EQ(woken.load(), kWaiters);
    EXPECT_EQ(io.FutexWake(word, UINT32_MAX), 0u);
  });
}

TYPED_TEST(FutexTest, WakeReachesOnlyItsWord) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    std::atomic<uint32_t> words[2] = {0, 0};
    auto waiter = Async(io, [&] {
      return io.FutexWait(words[0], 0, {.deadline = io.Now() + 20ms});
    });
    while (!waiter.ready()) {
      EXPECT_EQ(io.FutexWake(words[1], UINT32_MAX), 0u);
      io.Yield();
    }
    EXPECT_EQ(waiter.Await(io), WakeReason::kDeadline);
  });
}

TYPED_TEST(FutexKernelTest, PlainThreadMayWake) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (int i = 0; i < 50; ++i) {
      std::atomic<uint32_t> word{0};
      std::thread waker([&] {
        word = 1;
        io.FutexWake(word, 1);
      });
      while (word == 0) {
        const WakeReason reason = io.FutexWait(word, 0, {});
        EXPECT_TRUE(reason == WakeReason::kWoken ||
                    reason == WakeReason::kValueDiffered);
      }
      waker.join();
    }
  });
}

// An instance wakes the waiters of another one.
TYPED_TEST(FutexKernelTest, WakeReachesOtherInstances) {
  using B = typename TypeParam::Io;
  const auto other = testing::MakeIo<TypeParam>();
  std::atomic<uint32_t> word{0};
  std::thread elsewhere([&] {
    testing::RunOnInstance(*other, [&](B& io) {
      EXPECT_EQ(io.FutexWait(word, 0, {}), WakeReason::kWoken);
    });
  });
  RunOn<TypeParam>([&](B& io) { WakeOne(io, word); });
  elsewhere.join();
}

// C2, C5: a wake that was counted is always reported as such, whatever
// deadline or cancel meets it.
TYPED_TEST(FutexTest, CountedWakesAreReportedWakes) {
  using B = typename TypeParam::Io;
  const testing::Seed seed;
  RunOn<TypeParam>([&](B& io) {
    constexpr int kWaiters = 4;
    constexpr int kRounds = 300;
    std::atomic<uint32_t> word{0};
    std::atomic<uint32_t> reported{0};
    std::atomic<int> running{kWaiters};
    TaskGroup<B> group(io);
    for (uint32_t i = 0; i < kWaiters; ++i) {
      group.Spawn([&, i](B& own) {
        auto random = seed.GeneratorFor(i);
        for (int round = 0; round < kRounds; ++round) {
          const Deadline deadline(own,
                                  std::chrono::microseconds(random() % 200));
          FutexWaitOptions options;
          if (random() % 2 == 0) {
            options.deadline =
                own.Now() + std::chrono::microseconds(random() % 200);
          }
          if (own.FutexWait(word, 0, options) == WakeReason::kWoken) {
            reported.fetch_add(1);
          }
        }
        running.fetch_sub(1);
      });
    }
    uint32_t counted = 0;
    auto random = seed.GeneratorFor(kWaiters);
    while (running > 0) {
      counted += io.FutexWake(word, static_cast<uint32_t>(random() % 3));
      io.Yield();
    }
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_EQ(counted, reported.load());
  });
}

}  // namespace
}  // namespace weft
