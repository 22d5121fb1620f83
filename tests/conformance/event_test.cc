#include "weft/sync/event.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <random>
#include <thread>

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
class EventTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(EventTest, testing::Backends, testing::BackendNames);

// What needs the kernel or threads of the host program.
template <class Config>
using EventKernelTest = EventTest<Config>;
TYPED_TEST_SUITE(EventKernelTest, testing::KernelBackends,
                 testing::BackendNames);

TYPED_TEST(EventTest, WaitReturnsAtOnceWhileSet) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Event<B> event;
    EXPECT_FALSE(event.IsSet());
    event.Set(io);
    event.Set(io);
    EXPECT_TRUE(event.IsSet());
    EXPECT_TRUE(event.Wait(io).ok());
    EXPECT_TRUE(event.WaitFor(io, 0ns).ok());
    event.Reset();
    event.Reset();
    EXPECT_FALSE(event.IsSet());
    EXPECT_TRUE(absl::IsDeadlineExceeded(event.WaitFor(io, 1ms)));
  });
}

// The use that the header shows.
TYPED_TEST(EventTest, SetLetsAWaiterGo) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Event<B> ready;
    int prepared = 0;
    TaskGroup<B> group(io);
    group.Spawn([&](B& own) {
      YieldUntil(own, [&] { return ready.waiters() == 1; });
      prepared = 1;
      ready.Set(own);
    });
    EXPECT_TRUE(ready.Wait(io).ok());
    EXPECT_EQ(prepared, 1);
    EXPECT_TRUE(group.Await(io).ok());
  });
}

TYPED_TEST(EventTest, CancelledWaiterReturnsAndOthersAreStillLetGo) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Event<B> event;
    auto first = Async(io, [&](B& own) { return event.Wait(own); });
    auto second = Async(io, [&](B& own) { return event.Wait(own); });
    YieldUntil(io, [&] { return event.waiters() == 2; });
    first.Cancel();
    EXPECT_TRUE(absl::IsCancelled(first.Await(io)));
    EXPECT_EQ(event.waiters(), 1u);
    event.Set(io);
    EXPECT_TRUE(second.Await(io).ok());
  });
}

TYPED_TEST(EventTest, DeadlineOfTheScopeEndsTheWait) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Event<B> event;
    Deadline deadline(io, 2ms);
    const absl::Status status = event.WaitFor(io, 1h);
    EXPECT_TRUE(absl::IsDeadlineExceeded(status));
    EXPECT_EQ(status.message(), "wait: deadline exceeded");
    EXPECT_TRUE(deadline.fired());
  });
}

TYPED_TEST(EventTest, CancelledScopeDoesNotWaitForASetEvent) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Event<B> event;
    event.Set(io);
    CancelScope scope(io);
    scope.Cancel();
    EXPECT_TRUE(absl::IsCancelled(event.Wait(io)));
    Shield shield(io);
    EXPECT_TRUE(event.Wait(io).ok());
  });
}

TYPED_TEST(EventKernelTest, AnyThreadMaySetIt) {
  using B = typename TypeParam::Io;
  const std::unique_ptr<B> io = MakeIo<TypeParam>();
  Event<B> event;
  std::thread setter([&] {
    while (event.waiters() == 0) std::this_thread::yield();
    event.Set(*io);
  });
  RunOnInstance(*io, [&](B& own) { EXPECT_TRUE(event.Wait(own).ok()); });
  setter.join();
}

TYPED_TEST(EventKernelTest, TwoInstancesShareOne) {
  using B = typename TypeParam::Io;
  const std::unique_ptr<B> first = MakeIo<TypeParam>();
  const std::unique_ptr<B> second = MakeIo<TypeParam>();
  Event<B> event;
  std::thread other([&] {
    RunOnInstance(*second, [&](B& io) { EXPECT_TRUE(event.Wait(io).ok()); });
  });
  RunOnInstance(*first, [&](B& io) {
    YieldUntil(io, [&] { return event.waiters() == 1; });
    event.Set(io);
  });
  other.join();
}

TYPED_TEST(EventTest, WaiterMayDestroyIt) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (int round = 0; round < 300; ++round) {
      TaskGroup<B> group(io);
      auto event = std::make_unique<Event<B>>();
      group.Spawn([set = event.get()](B& own) { set->Set(own); });
      EXPECT_TRUE(event->Wait(io).ok());
      event.reset();
      EXPECT_TRUE(group.Await(io).ok());
    }
  });
}

// Waiters with deadlines and cancels while others set and reset: whoever waits
// without a limit gets through.
TYPED_TEST(EventTest, Stress) {
  using B = typename TypeParam::Io;
  const testing::Seed seed;
  RunOn<TypeParam>([&](B& io) {
    Event<B> event;
    std::atomic<bool> done = false;
    TaskGroup<B> setters(io);
    setters.Spawn([&](B& own) {
      std::mt19937 random = seed.GeneratorFor(0);
      while (!done) {
        event.Set(own);
        if (random() % 2 == 0) own.Yield();
        event.Reset();
        if (random() % 2 == 0) own.Yield();
      }
    });
    TaskGroup<B> waiters(io);
    for (uint32_t task = 1; task <= 6; ++task) {
      waiters.Spawn([&, task](B& own) {
        std::mt19937 random = seed.GeneratorFor(task);
        for (int round = 0; round < 200; ++round) {
          if (random() % 2 == 0) {
            EXPECT_TRUE(event.Wait(own).ok());
          } else {
            const Duration span = std::chrono::microseconds(random() % 30);
            const absl::Status status = event.WaitFor(own, span);
            EXPECT_TRUE(status.ok() || absl::IsDeadlineExceeded(status));
          }
          if (random() % 8 == 0) own.Yield();
        }
      });
    }
    EXPECT_TRUE(waiters.Await(io).ok());
    EXPECT_EQ(event.waiters(), 0u);
    done = true;
    EXPECT_TRUE(setters.Await(io).ok());
  });
}

template <class Config>
using EventDeathTest = EventTest<Config>;
TYPED_TEST_SUITE(EventDeathTest, testing::Backends, testing::BackendNames);

TYPED_TEST(EventDeathTest, MayNotBeDestroyedUnderAWaiter) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) {
                 std::optional<Event<B>> event(std::in_place);
                 auto waiter =
                     Async(io, [&](B& own) { return event->Wait(own); });
                 YieldUntil(io, [&] { return event->waiters() == 1; });
                 event.reset();
               }),
               "weft: misuse: an Event was destroyed while a task waits");
}

}  // namespace
}  // namespace weft
