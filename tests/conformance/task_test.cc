// Async and Concurrent, on every backend.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "weft/runtime/future.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/source_location.h"
#include "weft/runtime/task_group.h"
#include "weft/runtime/task_local.h"
#include "weft/sync/event.h"
#include "weft/tests/conformance/backends.h"

namespace weft {
namespace {

using namespace std::chrono_literals;
using absl::StatusCode;
using testing::RunOn;
using testing::YieldUntil;

template <class Config>
class TaskTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(TaskTest, testing::Backends, testing::BackendNames);

TYPED_TEST(TaskTest, AwaitReturnsWhatTheFunctionReturned) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Future<int, B> with_io = Async(io, [&io](B& given) {
      EXPECT_EQ(&given, &io);
      return 1;
    });
    Future<int, B> without_io = Async(io, [] { return 2; });
    absl::StatusOr<Future<int, B>> concurrent = Concurrent(
        io, [](B&, int a, int b) { return a + b; }, 1, 2);
    ASSERT_TRUE(concurrent.ok()) << concurrent.status();
    EXPECT_EQ(with_io.Await(io), 1);
    EXPECT_EQ(without_io.Await(io), 2);
    EXPECT_EQ(concurrent->Await(io), 3);
  });
}

TYPED_TEST(TaskTest, FunctionMayReturnNothing) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    bool ran = false;
    Future<void, B> future = Async(io, [&] { ran = true; });
    future.Await(io);
    EXPECT_TRUE(ran);
    EXPECT_FALSE(future.valid());
  });
}

TYPED_TEST(TaskTest, ResultsAndArgumentsMayBeMoveOnly) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    auto number = std::make_unique<int>(41);
    Future<std::unique_ptr<int>, B> future = Async(
        io,
        [captured = std::make_unique<int>(1)](std::unique_ptr<int> argument) {
          return std::make_unique<int>(*captured + *argument);
        },
        std::move(number));
    EXPECT_EQ(*future.Await(io), 42);
  });
}

TYPED_TEST(TaskTest, ArgumentsAreDecayedAndReferencesPassedOnRequest) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    int copied = 1;
    int shared = 1;
    const char text[] = "text";
    Async(
        io,
        [](int mine, int& yours, std::string word) {
          mine += 10;
          yours += mine;
          EXPECT_EQ(word, "text");
        },
        copied, std::ref(shared), text)
        .Await(io);
    EXPECT_EQ(copied, 1);
    EXPECT_EQ(shared, 12);
  });
}

// S11
TYPED_TEST(TaskTest, ExceptionOfTheTaskIsThrownByAwait) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Future<int, B> future =
        Async(io, []() -> int { throw std::runtime_error("carried"); });
    try {
      future.Await(io);
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "carried");
    }
    EXPECT_FALSE(future.valid());
    // Through two tasks.
    Future<void, B> outer = Async(io, [](B& inner_io) {
      Async(inner_io, [] { throw std::logic_error("deep"); }).Await(inner_io);
    });
    EXPECT_THROW(outer.Await(io), std::logic_error);
    // Nobody asks for this one.
    const auto dropped = Async(io, [] { throw std::logic_error("dropped"); });
  });
}

TYPED_TEST(TaskTest, ExceptionIsThrownByRun) {
  using B = typename TypeParam::Io;
  const std::unique_ptr<B> io = testing::MakeIo<TypeParam>();
  std::thread([&] {
    EXPECT_THROW((void)io->Run([](B&) { throw std::logic_error("root"); }),
                 std::logic_error);
  }).join();
}

TYPED_TEST(TaskTest, RunReturnsWhatTheFunctionReturned) {
  using B = typename TypeParam::Io;
  const std::unique_ptr<B> io = testing::MakeIo<TypeParam>();
  std::thread([&] {
    EXPECT_TRUE(io->Run([](B&) {}).ok());
    EXPECT_EQ(io->Run([] { return 7; }).value(), 7);
    EXPECT_EQ(io->Run([] { return absl::NotFoundError("gone"); }),
              absl::NotFoundError("gone"));
    EXPECT_EQ(*io->Run([] {
                   return absl::StatusOr<std::unique_ptr<int>>(
                       std::make_unique<int>(3));
                 }).value(),
              3);
  }).join();
}

TYPED_TEST(TaskTest, CapturesEndWithTheTask) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    auto shared = std::make_shared<int>(0);
    auto future = Async(io, [shared] { return *shared; });
    YieldUntil(io, [&] { return future.ready(); });
    EXPECT_EQ(shared.use_count(), 1);
    EXPECT_EQ(future.Await(io), 0);
  });
}

TYPED_TEST(TaskTest, FutureIsReadyWhenTheTaskHasEnded) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Event<B> gate;
    Future<void, B> future = Async(io, [&] { (void)gate.Wait(io); });
    for (int i = 0; i < 10; ++i) {
      io.Yield();
      EXPECT_FALSE(future.ready());
    }
    gate.Set(io);
    YieldUntil(io, [&] { return future.ready(); });
    EXPECT_TRUE(future.valid());
    future.Await(io);
    EXPECT_FALSE(future.ready());
  });
}

TYPED_TEST(TaskTest, TasksRunAtTheSameTime) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Event<B> there;
    Event<B> back;
    auto future = Concurrent(io, [&] {
      there.Set(io);
      return back.Wait(io);
    });
    ASSERT_TRUE(future.ok());
    EXPECT_TRUE(there.Wait(io).ok());
    back.Set(io);
    EXPECT_TRUE(future->Await(io).ok());
  });
}

TYPED_TEST(TaskTest, NamesAreGivenOrInherited) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    const auto name = [&io] { return io.CurrentTask("test").name(); };
    const std::string root = name();
    EXPECT_FALSE(root.empty());
    EXPECT_EQ(Async(io, name).Await(io), root);
    EXPECT_EQ(Async(io, {.name = "reader"}, name).Await(io), "reader");
    EXPECT_EQ(
        Async(io, {.name = "reader"}, [&] { return Async(io, name).Await(io); })
            .Await(io),
        "reader");
    const std::string temporary = "writer of a long name";
    auto future = Concurrent(io, {.name = temporary.substr(0, 15)}, name);
    EXPECT_EQ(future->Await(io), "writer of a lon");
  });
}

TYPED_TEST(TaskTest, KnowsWhereItWasSpawned) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    const auto where = [&io] { return io.CurrentTask("test").where(); };
    const auto expect_line = [](SourceLocation found, int line) {
      EXPECT_EQ(found.line, line);
      ASSERT_NE(found.file, nullptr);
      EXPECT_TRUE(std::string_view(found.file).ends_with("task_test.cc"));
    };
    EXPECT_EQ(where().file, nullptr);
    expect_line(Async(io, where).Await(io), __LINE__);
    expect_line(Async(io, {.name = "named"}, where).Await(io), __LINE__);
    expect_line(Concurrent(io, where)->Await(io), __LINE__);
    TaskGroup group(io);
    SourceLocation in_group;
    group.Spawn([&] { in_group = where(); });
    const int line = __LINE__ - 1;
    EXPECT_EQ(group.Await(io), absl::OkStatus());
    expect_line(in_group, line);
    // A call with arguments has no room for the place; options do.
    EXPECT_EQ(Async(
                  io, [&](int) { return where(); }, 1)
                  .Await(io)
                  .file,
              nullptr);
  });
}

TYPED_TEST(TaskTest, IdsAreDifferent) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    const auto id = [&io] { return io.CurrentTask("test").id(); };
    std::set<uint64_t> ids = {id()};
    for (int i = 0; i < 100; ++i) ids.insert(Async(io, id).Await(io));
    EXPECT_EQ(ids.size(), 101u);
    EXPECT_EQ(ids.count(id()), 1u);
  });
}

TYPED_TEST(TaskTest, LocalsAreInheritedFromTheTimeOfTheStart) {
  using B = typename TypeParam::Io;
  static const TaskLocal<std::string> local;
  static const TaskLocal<int> other;
  RunOn<TypeParam>([](B& io) {
    using Binding = typename TaskLocal<std::string>::Binding;
    EXPECT_EQ(local.Get(io), nullptr);
    std::optional<Binding> bound(std::in_place, io, local, "outer");
    Event<B> gate;
    Future<void, B> child = Async(io, [&] {
      (void)gate.Wait(io);
      ASSERT_NE(local.Get(io), nullptr);
      EXPECT_EQ(*local.Get(io), "outer");
      EXPECT_EQ(other.Get(io), nullptr);
      {
        const Binding inner(io, local, "inner");
        EXPECT_EQ(*local.Get(io), "inner");
        Async(io, [&] { EXPECT_EQ(*local.Get(io), "inner"); }).Await(io);
      }
      EXPECT_EQ(*local.Get(io), "outer");
    });
    {
      const TaskLocal<int>::Binding later(io, other, 5);
      EXPECT_EQ(*other.Get(io), 5);
      EXPECT_EQ(*local.Get(io), "outer");
    }
    // The child keeps what it has inherited.
    bound.reset();
    EXPECT_EQ(local.Get(io), nullptr);
    gate.Set(io);
    child.Await(io);
  });
}

TYPED_TEST(TaskTest, DroppedFutureCancelsItsTaskAndWaitsForItsEnd) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    absl::Status slept;
    bool ended = false;
    {
      const Future<void, B> future = Async(io, [&] {
        slept = Sleep(io, 1h);
        for (int i = 0; i < 10; ++i) io.Yield();
        ended = true;
      });
    }
    EXPECT_TRUE(ended);
    EXPECT_EQ(slept.code(), StatusCode::kCancelled);
  });
}

TYPED_TEST(TaskTest, AssigningAFutureDropsTheOldTask) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    bool ended = false;
    Future<int, B> future = Async(io, [&] {
      EXPECT_EQ(Sleep(io, 1h).code(), StatusCode::kCancelled);
      ended = true;
      return 1;
    });
    future = Async(io, [] { return 2; });
    EXPECT_TRUE(ended);
    EXPECT_EQ(future.Await(io), 2);
  });
}

TYPED_TEST(TaskTest, CancelIsSticky) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Event<B> waiting;
    Future<int, B> future = Async(io, [&] {
      int cancelled = 0;
      waiting.Set(io);
      for (int i = 0; i < 5; ++i) {
        if (Sleep(io, 1h).code() == StatusCode::kCancelled) ++cancelled;
      }
      return cancelled;
    });
    EXPECT_TRUE(waiting.Wait(io).ok());
    future.Cancel();
    EXPECT_EQ(future.Await(io), 5);
  });
}

TYPED_TEST(TaskTest, TaskCancelledBeforeItStartsFindsOutWhenItBlocks) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (int i = 0; i < 100; ++i) {
      Future<absl::Status, B> future = Async(io, [&] { return Sleep(io, 1h); });
      future.Cancel();
      EXPECT_EQ(future.Await(io).code(), StatusCode::kCancelled);
    }
  });
}

TYPED_TEST(TaskTest, AwaitPassesACancelOn) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (int yields = 0; yields < 20; ++yields) {
      absl::Status inner;
      bool outer_cancelled = false;
      Future<void, B> outer = Async(io, [&] {
        auto future = Async(io, [&] { return Sleep(io, 1h); });
        inner = future.Await(io);
        outer_cancelled = !CheckCancelled(io).ok();
      });
      for (int i = 0; i < yields; ++i) io.Yield();
      outer.Cancel();
      outer.Await(io);
      EXPECT_EQ(inner.code(), StatusCode::kCancelled);
      EXPECT_TRUE(outer_cancelled);
    }
  });
}

TYPED_TEST(TaskTest, AwaitPassesADeadlineOnAsACancel) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    auto future = Async(io, [&] { return Sleep(io, 1h); });
    Deadline deadline(io, 5ms);
    EXPECT_EQ(future.Await(io).code(), StatusCode::kCancelled);
    EXPECT_TRUE(deadline.fired());
    EXPECT_EQ(CheckCancelled(io).code(), StatusCode::kDeadlineExceeded);
  });
}

// What the task made of the cancel is what counts.
TYPED_TEST(TaskTest, CancelledAwaitStillReturnsTheResult) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Event<B> gate;
    auto future = Async(io, [&] {
      (void)gate.Wait(io);
      return 5;
    });
    CancelScope scope(io);
    scope.Cancel();
    EXPECT_EQ(future.Await(io), 5);
  });
}

TYPED_TEST(TaskTest, FutureMayBeAwaitedByAnotherTask) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    auto first = Async(io, [] { return 20; });
    auto second = Async(
        io, [](B& own, Future<int, B> future) { return future.Await(own) + 1; },
        std::move(first));
    EXPECT_FALSE(first.valid());
    EXPECT_EQ(second.Await(io), 21);
  });
}

template <class B>
int Depth(B& io, int left) {
  if (left == 0) return 0;
  return 1 +
         Async(io, [left](B& own) { return Depth(own, left - 1); }).Await(io);
}

TYPED_TEST(TaskTest, TasksMayStartTasksToAnyDepth) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) { EXPECT_EQ(Depth(io, 100), 100); });
}

TYPED_TEST(TaskTest, AwaitingTwiceIsMisuse) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) {
                 auto future = Async(io, [] {});
                 future.Await(io);
                 future.Await(io);
               }),
               "weft: misuse: Await on an empty Future");
}

TYPED_TEST(TaskTest, AwaitingAMovedFutureIsMisuse) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) {
                 auto future = Async(io, {.name = "mover"}, [&] {
                   auto inner = Async(io, [] {});
                   const auto moved = std::move(inner);
                   inner.Await(io);
                 });
                 future.Await(io);
               }),
               "weft: misuse: Await on an empty Future.*in task 'mover'");
}

}  // namespace
}  // namespace weft
