// Scopes, on every backend.
#include "weft/runtime/scope.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "weft/runtime/future.h"
#include "weft/runtime/io.h"
#include "weft/runtime/operation.h"
#include "weft/runtime/task.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/event.h"
#include "weft/tests/conformance/backends.h"
#include "weft/tests/conformance/descriptors.h"

namespace weft {
namespace {

using namespace std::chrono_literals;
using absl::StatusCode;
using testing::RunOn;

// Long enough to never pass in a test that works.
constexpr Duration kFarAway = 1h;

template <class Config>
class ScopeTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(ScopeTest, testing::Backends, testing::BackendNames);

// What needs the kernel or threads of the host program.
template <class Config>
using ScopeKernelTest = ScopeTest<Config>;
TYPED_TEST_SUITE(ScopeKernelTest, testing::KernelBackends,
                 testing::BackendNames);

TYPED_TEST(ScopeTest, NothingIsCancelledByItself) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    EXPECT_TRUE(CheckCancelled(io).ok());
    CancelScope scope(io);
    EXPECT_FALSE(scope.cancelled());
    EXPECT_TRUE(CheckCancelled(io).ok());
    EXPECT_TRUE(Sleep(io, 1ms).ok());
  });
}

TYPED_TEST(ScopeTest, CancelHoldsUntilTheScopeEnds) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    {
      CancelScope scope(io);
      scope.Cancel();
      EXPECT_TRUE(scope.cancelled());
      for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(Sleep(io, kFarAway).code(), StatusCode::kCancelled);
      }
      const CancelScope inner(io);
      EXPECT_FALSE(inner.cancelled());
      EXPECT_EQ(CheckCancelled(io).code(), StatusCode::kCancelled);
    }
    EXPECT_TRUE(CheckCancelled(io).ok());
    EXPECT_TRUE(Sleep(io, 1ms).ok());
  });
}

TYPED_TEST(ScopeTest, AnotherTaskMayCancel) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (int yields = 0; yields < 30; ++yields) {
      CancelScope scope(io);
      Event<B> waiting;
      auto canceller = Async(io, [&](B& own) {
        const Shield shield(own);
        EXPECT_TRUE(waiting.Wait(own).ok());
        for (int i = 0; i < yields; ++i) own.Yield();
        scope.Cancel();
      });
      waiting.Set(io);
      EXPECT_EQ(Sleep(io, kFarAway).code(), StatusCode::kCancelled);
      canceller.Await(io);
    }
  });
}

TYPED_TEST(ScopeKernelTest, PlainThreadMayCancel) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (int i = 0; i < 30; ++i) {
      CancelScope scope(io);
      std::thread canceller([&] { scope.Cancel(); });
      EXPECT_EQ(Sleep(io, kFarAway).code(), StatusCode::kCancelled);
      canceller.join();
    }
  });
}

TYPED_TEST(ScopeTest, CancelOfAnOuterScopeReachesACallInAnInnerOne) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    CancelScope outer(io);
    {
      CancelScope inner(io);
      auto canceller = Async(io, [&] { outer.Cancel(); });
      EXPECT_EQ(Sleep(io, kFarAway).code(), StatusCode::kCancelled);
      EXPECT_FALSE(inner.cancelled());
      canceller.Await(io);
    }
    EXPECT_EQ(CheckCancelled(io).code(), StatusCode::kCancelled);
  });
}

TYPED_TEST(ScopeTest, CancelOfAnInnerScopeSparesTheOuterOne) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    CancelScope outer(io);
    {
      CancelScope inner(io);
      inner.Cancel();
      EXPECT_EQ(Sleep(io, kFarAway).code(), StatusCode::kCancelled);
    }
    EXPECT_TRUE(Sleep(io, 1ms).ok());
  });
}

// A cancel that finds its scope closed just now must not hit the next wait.
TYPED_TEST(ScopeTest, LateCancelDoesNotReachTheNextScope) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (int i = 0; i < 200; ++i) {
      {
        CancelScope scope(io);
        auto canceller = Async(io, [&] { scope.Cancel(); });
        if (i % 2 == 0) io.Yield();
        canceller.Await(io);
      }
      EXPECT_TRUE(Sleep(io, 10us).ok());
    }
  });
}

TYPED_TEST(ScopeTest, DeadlineEndsACall) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    const MonotonicTime begin = io.Now();
    {
      const Deadline deadline(io, 10ms);
      EXPECT_FALSE(deadline.cancelled());
      EXPECT_EQ(Sleep(io, kFarAway).code(), StatusCode::kDeadlineExceeded);
      EXPECT_GE(io.Now() - begin, 10ms);
      EXPECT_TRUE(deadline.fired());
      // It is sticky, too.
      EXPECT_EQ(Sleep(io, 0ms).code(), StatusCode::kDeadlineExceeded);
    }
    EXPECT_TRUE(CheckCancelled(io).ok());
  });
}

TYPED_TEST(ScopeTest, DeadlineThatIsFarAwayChangesNothing) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (const MonotonicTime when :
         {io.Now() + kFarAway, MonotonicTime(kNever - Duration(1)), kNever}) {
      const Deadline deadline(io, when);
      EXPECT_TRUE(Sleep(io, 1ms).ok());
      EXPECT_FALSE(deadline.fired());
    }
    const Deadline longest(io, Duration::max());
    EXPECT_TRUE(Sleep(io, 1ms).ok());
  });
}

TYPED_TEST(ScopeTest, DeadlineInThePastFiresAtOnce) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (const Duration timeout : {Duration(0), Duration(-1s)}) {
      const Deadline deadline(io, timeout);
      EXPECT_FALSE(deadline.fired());
      EXPECT_EQ(Sleep(io, kFarAway).code(), StatusCode::kDeadlineExceeded);
      EXPECT_TRUE(deadline.fired());
    }
    const Deadline first(io, MonotonicTime(Duration(1)));
    EXPECT_EQ(CheckCancelled(io).code(), StatusCode::kDeadlineExceeded);
  });
}

TYPED_TEST(ScopeTest, InnerDeadlineMayBeTheFirst) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    const Deadline outer(io, kFarAway);
    {
      const Deadline inner(io, 5ms);
      EXPECT_EQ(Sleep(io, kFarAway).code(), StatusCode::kDeadlineExceeded);
      EXPECT_TRUE(inner.fired());
      EXPECT_FALSE(outer.fired());
    }
    EXPECT_TRUE(Sleep(io, 1ms).ok());
  });
}

TYPED_TEST(ScopeTest, OuterDeadlineMayBeTheFirst) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    const Deadline outer(io, 5ms);
    {
      const Deadline inner(io, kFarAway);
      EXPECT_EQ(Sleep(io, kFarAway).code(), StatusCode::kDeadlineExceeded);
      EXPECT_FALSE(inner.fired());
      EXPECT_TRUE(outer.fired());
    }
    EXPECT_EQ(Sleep(io, 1ms).code(), StatusCode::kDeadlineExceeded);
  });
}

TYPED_TEST(ScopeTest, OutermostRequestWins) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    {
      CancelScope outer(io);
      const Deadline inner(io, 0ms);
      EXPECT_EQ(CheckCancelled(io).code(), StatusCode::kDeadlineExceeded);
      outer.Cancel();
      EXPECT_EQ(CheckCancelled(io).code(), StatusCode::kCancelled);
      EXPECT_EQ(Sleep(io, kFarAway).code(), StatusCode::kCancelled);
      EXPECT_TRUE(outer.fired());
    }
    const Deadline outer(io, 0ms);
    CancelScope inner(io);
    inner.Cancel();
    EXPECT_EQ(CheckCancelled(io).code(), StatusCode::kDeadlineExceeded);
    EXPECT_TRUE(outer.fired());
    EXPECT_FALSE(inner.fired());
  });
}

// Every kind of call tells, not only those that return a status.
TYPED_TEST(ScopeTest, ScopeThatFiredIsTold) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    const std::vector<std::function<void()>> calls = {
        [&] { (void)Sleep(io, kFarAway); },
        [&] { (void)CheckCancelled(io); },
        [&] {
          Event<B> event;
          (void)event.Wait(io);
        },
        [&] {
          testing::SocketPair pair;
          char byte;
          (void)io.Perform(
              op::Recv{.fd = pair.first.fd(), .data = &byte, .size = 1});
        },
        [&] { Async(io, [&] { (void)Sleep(io, kFarAway); }).Await(io); },
        [&] {
          TaskGroup<B> group(io);
          group.Spawn([&] { (void)Sleep(io, kFarAway); });
          (void)group.Await(io);
        },
    };
    for (size_t i = 0; i < calls.size(); ++i) {
      SCOPED_TRACE(i);
      CancelScope outer(io);
      CancelScope middle(io);
      const Deadline inner(io, kFarAway);
      middle.Cancel();
      calls[i]();
      EXPECT_TRUE(middle.fired());
      EXPECT_FALSE(inner.fired());
      EXPECT_FALSE(outer.fired());
      outer.Cancel();
      calls[i]();
      EXPECT_TRUE(outer.fired());
    }
  });
}

TYPED_TEST(ScopeTest, DeadlineMayBeCancelled) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Deadline deadline(io, kFarAway);
    auto canceller = Async(io, [&] { deadline.Cancel(); });
    EXPECT_EQ(Sleep(io, kFarAway).code(), StatusCode::kCancelled);
    EXPECT_TRUE(deadline.fired());
    EXPECT_TRUE(deadline.cancelled());
    canceller.Await(io);
  });
}

TYPED_TEST(ScopeTest, ShieldLetsCleanupBlock) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    CancelScope scope(io);
    scope.Cancel();
    const Deadline over(io, 0ms);
    EXPECT_EQ(Sleep(io, 1ms).code(), StatusCode::kCancelled);
    {
      const Shield shield(io);
      EXPECT_TRUE(CheckCancelled(io).ok());
      EXPECT_TRUE(Sleep(io, 5ms).ok());
      // The cleanup has a deadline of its own.
      const Deadline deadline(io, 5ms);
      EXPECT_EQ(Sleep(io, kFarAway).code(), StatusCode::kDeadlineExceeded);
    }
    EXPECT_EQ(Sleep(io, 1ms).code(), StatusCode::kCancelled);
  });
}

TYPED_TEST(ScopeTest, CancelDuringAShieldWaitsForItsEnd) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Event<B> shielded;
    auto task = Async(io, [&](B& own) {
      absl::Status inside;
      {
        const Shield shield(own);
        shielded.Set(own);
        inside = Sleep(own, 10ms);
      }
      EXPECT_TRUE(inside.ok()) << inside;
      EXPECT_EQ(Sleep(own, kFarAway).code(), StatusCode::kCancelled);
    });
    EXPECT_TRUE(shielded.Wait(io).ok());
    task.Cancel();
    task.Await(io);
  });
}

TYPED_TEST(ScopeTest, ShieldMayBeCancelledItself) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Shield shield(io);
    auto canceller = Async(io, [&] { shield.Cancel(); });
    EXPECT_EQ(Sleep(io, kFarAway).code(), StatusCode::kCancelled);
    canceller.Await(io);
  });
}

TYPED_TEST(ScopeTest, WithTimeoutReturnsWhatTheCallReturns) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    EXPECT_EQ(WithTimeout(io, kFarAway, [] { return 4; }), 4);
    EXPECT_EQ(
        *WithTimeout(io, kFarAway, [] { return std::make_unique<int>(5); }), 5);
    EXPECT_EQ(WithTimeout(io, 5ms, [&] { return Sleep(io, kFarAway); }).code(),
              StatusCode::kDeadlineExceeded);
    bool ran = false;
    WithTimeout(io, kFarAway, [&] { ran = true; });
    EXPECT_TRUE(ran);
    EXPECT_TRUE(CheckCancelled(io).ok());
  });
}

TYPED_TEST(ScopeTest, TasksAreNotInTheScopeTheyWereStartedIn) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    CancelScope scope(io);
    scope.Cancel();
    auto future = Async(io, [&] { return CheckCancelled(io); });
    // Not by Await, which would pass the cancel on.
    testing::YieldUntil(io, [&] { return future.ready(); });
    EXPECT_TRUE(future.Await(io).ok());
  });
}

TYPED_TEST(ScopeTest, EachOfManyNestedDeadlinesEndsItsCalls) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    struct Nest {
      static void Open(B& io, int depth) {
        const Deadline deadline(io, depth * 1ms);
        if (depth > 1) Open(io, depth - 1);
        EXPECT_EQ(Sleep(io, kFarAway).code(), StatusCode::kDeadlineExceeded);
      }
    };
    Nest::Open(io, 20);
    EXPECT_TRUE(CheckCancelled(io).ok());
  });
}

// C2: at whatever moment a cancel comes, the sleep ends.
TYPED_TEST(ScopeTest, CancelAndDeadlineMayMeet) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (int i = 0; i < 200; ++i) {
      CancelScope outer(io);
      const Deadline inner(io, std::chrono::microseconds(i));
      auto canceller = Async(io, [&](B& own) {
        EXPECT_TRUE(Sleep(own, std::chrono::microseconds(200 - i)).ok());
        outer.Cancel();
      });
      const absl::Status ended = Sleep(io, kFarAway);
      EXPECT_TRUE(absl::IsCancelled(ended) || absl::IsDeadlineExceeded(ended))
          << ended;
      const Shield shield(io);
      canceller.Await(io);
    }
  });
}

TYPED_TEST(ScopeTest, ClosingInTheWrongOrderIsMisuse) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) {
                 auto outer = std::make_unique<CancelScope>(io);
                 const CancelScope inner(io);
                 outer = nullptr;
               }),
               "weft: misuse: a scope was closed while a scope inside it is "
               "open, or by another task");
}

TYPED_TEST(ScopeTest, ClosingInAnotherTaskIsMisuse) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) {
                 auto scope = std::make_unique<CancelScope>(io);
                 Async(io, [&] { scope = nullptr; }).Await(io);
               }),
               "weft: misuse: a scope was closed while a scope inside it is "
               "open, or by another task");
}

}  // namespace
}  // namespace weft
