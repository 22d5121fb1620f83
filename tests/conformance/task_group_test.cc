// TaskGroup, on every backend.
#include "weft/runtime/task_group.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "weft/runtime/future.h"
#include "weft/runtime/scope.h"
#include "weft/sync/event.h"
#include "weft/tests/conformance/backends.h"

namespace weft {
namespace {

using namespace std::chrono_literals;
using absl::StatusCode;
using testing::RunOn;
using testing::YieldUntil;

template <class Config>
class TaskGroupTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(TaskGroupTest, testing::Backends, testing::BackendNames);

// What needs the kernel or threads of the host program.
template <class Config>
using TaskGroupKernelTest = TaskGroupTest<Config>;
TYPED_TEST_SUITE(TaskGroupKernelTest, testing::KernelBackends,
                 testing::BackendNames);

void YieldTimes(Io& io, int times) {
  for (; times > 0; --times) io.Yield();
}

TYPED_TEST(TaskGroupTest, AwaitReturnsWhenAllTasksHaveEnded) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    std::atomic<int> ended{0};
    TaskGroup group(io);
    for (int i = 0; i < 20; ++i) {
      EXPECT_TRUE(group.Spawn([&ended, i](B& own) {
        YieldTimes(own, i);
        ended.fetch_add(1);
      }));
    }
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_EQ(ended.load(), 20);
    EXPECT_EQ(group.running(), 0u);
  });
}

TYPED_TEST(TaskGroupTest, EmptyGroupIsAwaitedAtOnce) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TaskGroup<B> group(io);
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_TRUE(group.Await(io).ok());
  });
}

TYPED_TEST(TaskGroupTest, ArgumentsAreMovedAndNamesGiven) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TaskGroup<B> group(io);
    std::string name;
    int number = 0;
    group.Spawn(
        {.name = "worker"},
        [&](B& own, std::unique_ptr<int> argument) {
          name = own.CurrentTask("test").name();
          number = *argument;
        },
        std::make_unique<int>(8));
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_EQ(name, "worker");
    EXPECT_EQ(number, 8);
  });
}

TYPED_TEST(TaskGroupTest, RunsTenThousandTasks) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    constexpr uint32_t kTasks = 10000;
    // A thread for each at once would be too many.
    const uint32_t bound = TypeParam::kManyTasks < kTasks ? 32 : 0;
    std::atomic<uint32_t> ran{0};
    TaskGroup<B> group(io, {.max_concurrent = bound});
    for (uint32_t i = 0; i < kTasks; ++i) {
      ASSERT_TRUE(group.Spawn([&] { ran.fetch_add(1); }));
    }
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_EQ(ran.load(), kTasks);
  });
}

TYPED_TEST(TaskGroupTest, HoldsManyBlockedTasksAtOnce) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    constexpr uint32_t kTasks = TypeParam::kManyTasks;
    std::atomic<uint32_t> there{0};
    Event<B> gate;
    TaskGroup<B> group(io);
    for (uint32_t i = 0; i < kTasks; ++i) {
      ASSERT_TRUE(group.Spawn([&] {
        there.fetch_add(1);
        return gate.Wait(io);
      }));
    }
    YieldUntil(io, [&] { return there.load() == kTasks; });
    EXPECT_EQ(group.running(), kTasks);
    gate.Set(io);
    EXPECT_TRUE(group.Await(io).ok());
  });
}

// Counts who is inside, and remembers the most.
class Crowd {
 public:
  void Enter() {
    const uint32_t now = inside_.fetch_add(1) + 1;
    uint32_t most = most_.load();
    while (most < now && !most_.compare_exchange_weak(most, now)) {
    }
  }
  void Leave() { inside_.fetch_sub(1); }
  uint32_t inside() const { return inside_.load(); }
  uint32_t most() const { return most_.load(); }

 private:
  std::atomic<uint32_t> inside_{0};
  std::atomic<uint32_t> most_{0};
};

TYPED_TEST(TaskGroupTest, BoundIsReachedAndHeld) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    constexpr uint32_t kBound = 5;
    Crowd crowd;
    Event<B> gate;
    TaskGroup<B> group(io, {.max_concurrent = kBound});
    std::atomic<int> spawned{0};
    auto spawner = Async(io, [&] {
      for (int i = 0; i < 100; ++i) {
        EXPECT_TRUE(group.Spawn([&](B& own) {
          crowd.Enter();
          EXPECT_TRUE(gate.Wait(own).ok());
          own.Yield();
          crowd.Leave();
        }));
        spawned.fetch_add(1);
      }
    });
    YieldUntil(io, [&] {
      return crowd.inside() == kBound && spawned.load() >= int{kBound};
    });
    YieldTimes(io, 100);
    EXPECT_EQ(spawned.load(), int{kBound});
    EXPECT_EQ(group.running(), kBound);
    gate.Set(io);
    spawner.Await(io);
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_EQ(crowd.most(), kBound);
  });
}

TYPED_TEST(TaskGroupTest, BoundHoldsWithSeveralSpawners) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    constexpr uint32_t kBound = 3;
    constexpr int kSpawners = 4;
    constexpr int kEach = 200;
    Crowd crowd;
    std::atomic<int> ran{0};
    TaskGroup<B> group(io, {.max_concurrent = kBound});
    TaskGroup<B> spawners(io);
    for (int i = 0; i < kSpawners; ++i) {
      spawners.Spawn([&] {
        for (int j = 0; j < kEach; ++j) {
          EXPECT_TRUE(group.Spawn([&](B& own) {
            crowd.Enter();
            // The first ones wait until the bound was reached.
            YieldUntil(own, [&] { return crowd.most() == kBound; });
            crowd.Leave();
            ran.fetch_add(1);
          }));
        }
      });
    }
    EXPECT_TRUE(spawners.Await(io).ok());
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_EQ(crowd.most(), kBound);
    EXPECT_EQ(ran.load(), kSpawners * kEach);
  });
}

TYPED_TEST(TaskGroupTest, BoundOfOneRunsTasksOneAfterAnother) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TaskGroup<B> group(io, {.max_concurrent = 1});
    std::string order;
    for (char name = 'a'; name <= 'z'; ++name) {
      group.Spawn([&order, name](B& own) {
        YieldTimes(own, name % 3);
        order += name;
      });
    }
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_EQ(order, "abcdefghijklmnopqrstuvwxyz");
  });
}

TYPED_TEST(TaskGroupTest, FirstErrorIsKept) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TaskGroup<B> group(io, {.max_concurrent = 1});
    int ran = 0;
    for (const char* message : {"", "first", "second"}) {
      group.Spawn([&ran, message]() -> absl::Status {
        ++ran;
        if (*message == '\0') return absl::OkStatus();
        return absl::DataLossError(message);
      });
    }
    EXPECT_EQ(group.Await(io), absl::DataLossError("first"));
    EXPECT_EQ(ran, 3);
    // The group starts afresh.
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_TRUE(group.Spawn([] {}));
    EXPECT_TRUE(group.Await(io).ok());
  });
}

// S11
TYPED_TEST(TaskGroupTest, FirstExceptionIsThrownByAwait) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TaskGroup<B> group(io, {.max_concurrent = 1});
    bool ran = false;
    group.Spawn([] { throw std::runtime_error("first"); });
    group.Spawn([] { throw std::runtime_error("second"); });
    group.Spawn([&] { ran = true; });
    try {
      (void)group.Await(io);
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "first");
    }
    EXPECT_TRUE(ran);
    EXPECT_TRUE(group.Await(io).ok());
  });
}

TYPED_TEST(TaskGroupTest, ErrorCancelsTheOthersOnRequest) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TaskGroup<B> group(io, {.cancel_on_error = true});
    std::atomic<int> cancelled{0};
    for (int i = 0; i < 10; ++i) {
      group.Spawn([&]() -> absl::Status {
        const absl::Status slept = Sleep(io, 1h);
        if (absl::IsCancelled(slept)) cancelled.fetch_add(1);
        return slept;
      });
    }
    group.Spawn([] { return absl::DataLossError("bad"); });
    EXPECT_EQ(group.Await(io), absl::DataLossError("bad"));
    EXPECT_EQ(cancelled.load(), 10);
  });
}

TYPED_TEST(TaskGroupTest, ExceptionCancelsTheOthersOnRequest) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TaskGroup<B> group(io, {.cancel_on_error = true});
    absl::Status slept;
    group.Spawn([&] { slept = Sleep(io, 1h); });
    group.Spawn([] { throw std::logic_error("bad"); });
    EXPECT_THROW((void)group.Await(io), std::logic_error);
    EXPECT_EQ(slept.code(), StatusCode::kCancelled);
  });
}

TYPED_TEST(TaskGroupTest, ErrorLeavesTheOthersAloneOtherwise) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TaskGroup<B> group(io);
    Event<B> gate;
    absl::Status waited = absl::UnknownError("not run");
    group.Spawn([&] { waited = gate.Wait(io); });
    group.Spawn([] { return absl::DataLossError("bad"); });
    YieldUntil(io, [&] { return group.running() == 1; });
    gate.Set(io);
    EXPECT_EQ(group.Await(io), absl::DataLossError("bad"));
    EXPECT_TRUE(waited.ok());
  });
}

TYPED_TEST(TaskGroupTest, CancelReachesTasksAndIsNoError) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (int yields = 0; yields < 30; ++yields) {
      TaskGroup<B> group(io);
      std::atomic<int> cancelled{0};
      for (int i = 0; i < 3; ++i) {
        group.Spawn([&] {
          absl::Status slept = Sleep(io, 1h);
          if (absl::IsCancelled(slept)) cancelled.fetch_add(1);
          return slept;
        });
      }
      YieldTimes(io, yields);
      group.Cancel();
      EXPECT_TRUE(group.Await(io).ok());
      EXPECT_EQ(cancelled.load(), 3);
    }
  });
}

TYPED_TEST(TaskGroupTest, CancelledErrorOfAnUncancelledGroupIsKept) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TaskGroup<B> group(io);
    group.Spawn([] { return absl::CancelledError("by itself"); });
    EXPECT_EQ(group.Await(io), absl::CancelledError("by itself"));
  });
}

TYPED_TEST(TaskGroupTest, CancelReachesTasksThatAreSpawnedLater) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TaskGroup<B> group(io, {.max_concurrent = 2});
    group.Cancel();
    std::atomic<int> cancelled{0};
    for (int i = 0; i < 6; ++i) {
      EXPECT_TRUE(group.Spawn([&] {
        if (absl::IsCancelled(Sleep(io, 1h))) cancelled.fetch_add(1);
      }));
    }
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_EQ(cancelled.load(), 6);
    // Await ends the cancel.
    group.Spawn([&] { return Sleep(io, 1ms); });
    EXPECT_TRUE(group.Await(io).ok());
  });
}

TYPED_TEST(TaskGroupKernelTest, CancelMayComeFromAnyThread) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TaskGroup<B> group(io);
    std::atomic<int> cancelled{0};
    for (int i = 0; i < 10; ++i) {
      group.Spawn([&] {
        if (absl::IsCancelled(Sleep(io, 1h))) cancelled.fetch_add(1);
      });
    }
    std::thread canceller([&] { group.Cancel(); });
    EXPECT_TRUE(group.Await(io).ok());
    canceller.join();
    EXPECT_EQ(cancelled.load(), 10);
  });
}

TYPED_TEST(TaskGroupTest, DestructorCancelsAndAwaits) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    std::atomic<int> ended{0};
    {
      TaskGroup<B> group(io);
      for (int i = 0; i < 5; ++i) {
        group.Spawn([&](B& own) {
          EXPECT_EQ(Sleep(own, 1h).code(), StatusCode::kCancelled);
          YieldTimes(own, 10);
          ended.fetch_add(1);
        });
      }
    }
    EXPECT_EQ(ended.load(), 5);
  });
}

// The destructor waits in spite of a cancel of its own task.
TYPED_TEST(TaskGroupTest, DestructorAwaitsInACancelledScope) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    std::atomic<int> ended{0};
    CancelScope scope(io);
    scope.Cancel();
    {
      TaskGroup<B> group(io);
      EXPECT_TRUE(group.Spawn([&](B& own) {
        const Shield shield(own);
        EXPECT_TRUE(Sleep(own, 5ms).ok());
        ended.fetch_add(1);
      }));
    }
    EXPECT_EQ(ended.load(), 1);
  });
}

TYPED_TEST(TaskGroupTest, InterruptedAwaitCancelsTheTasksAndWaitsForThem) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TaskGroup<B> group(io);
    std::atomic<int> cancelled{0};
    const auto sleep = [&] {
      absl::Status slept = Sleep(io, 1h);
      YieldTimes(io, 10);
      if (absl::IsCancelled(slept)) cancelled.fetch_add(1);
      return slept;
    };
    group.Spawn(sleep);
    {
      const Deadline deadline(io, 5ms);
      EXPECT_EQ(group.Await(io).code(), StatusCode::kDeadlineExceeded);
    }
    EXPECT_EQ(cancelled.load(), 1);
    group.Spawn(sleep);
    {
      CancelScope scope(io);
      scope.Cancel();
      EXPECT_EQ(group.Await(io).code(), StatusCode::kCancelled);
    }
    EXPECT_EQ(cancelled.load(), 2);
    EXPECT_TRUE(group.Await(io).ok());
  });
}

TYPED_TEST(TaskGroupTest, InterruptedSpawnCallsNothingAndKeepsWhy) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TaskGroup<B> group(io, {.max_concurrent = 1});
    Event<B> gate;
    group.Spawn([&] { (void)gate.Wait(io); });
    bool called = false;
    {
      const Deadline deadline(io, 5ms);
      EXPECT_FALSE(group.Spawn([&] { called = true; }));
    }
    EXPECT_EQ(group.running(), 1u);
    gate.Set(io);
    const absl::Status kept = group.Await(io);
    EXPECT_EQ(kept.code(), StatusCode::kDeadlineExceeded);
    EXPECT_EQ(kept.message(), "spawn: deadline exceeded");
    EXPECT_FALSE(called);
  });
}

TYPED_TEST(TaskGroupTest, TasksMaySpawnIntoTheirOwnGroup) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TaskGroup<B> group(io);
    std::atomic<int> ran{0};
    struct Spawner {
      TaskGroup<B>& group;
      std::atomic<int>& ran;
      void operator()(int depth) const {
        ran.fetch_add(1);
        if (depth == 0) return;
        EXPECT_TRUE(group.Spawn(*this, depth - 1));
        EXPECT_TRUE(group.Spawn(*this, depth - 1));
      }
    };
    group.Spawn(Spawner{group, ran}, 5);
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_EQ(ran.load(), 63);
  });
}

// A group may be gone as soon as its last task has let go of it.
TYPED_TEST(TaskGroupTest, GroupsComeAndGoQuickly) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (int i = 0; i < 500; ++i) {
      auto group = std::make_unique<TaskGroup<B>>(io);
      for (int j = 0; j < 3; ++j) group->Spawn([](B& own) { own.Yield(); });
      if (i % 2 == 0) {
        EXPECT_TRUE(group->Await(io).ok());
      }
      group = nullptr;
    }
  });
}

}  // namespace
}  // namespace weft
