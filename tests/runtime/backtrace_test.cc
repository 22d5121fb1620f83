#include "weft/runtime/internal/backtrace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "weft/runtime/fiber/context.h"
#include "weft/runtime/fiber/internal/sanitizer.h"
#include "weft/runtime/fiber/stack_pool.h"
#include "weft/runtime/fiber/stopped_backtrace.h"

namespace weft::internal {
namespace {

// What a backtrace has for the call that returns to `address`.
uintptr_t CallBefore(void* address) {
  return reinterpret_cast<uintptr_t>(address) - 1;
}

// A fiber that runs a body; where its outermost function was called is known.
class Fiber {
 public:
  explicit Fiber(std::function<void(Fiber&)> body)
      : body_(std::move(body)),
        stack_(Take()),
        context_(stack_.bottom, stack_.size, &Fiber::Main, this) {}
  ~Fiber() { pool_.Give(stack_); }

  void Resume() { thread_.SwitchTo(context_); }
  void Pause() { context_.SwitchTo(thread_); }

  bool LookAt(Backtrace& backtrace) {
    return stopped_.Take(thread_, context_, backtrace);
  }
  uintptr_t entry() const { return entry_; }
  const Stack& stack() const { return stack_; }

 private:
  [[gnu::noinline]] static void Main(void* fiber) {
    auto& self = *static_cast<Fiber*>(fiber);
    self.entry_ = CallBefore(__builtin_return_address(0));
    self.body_(self);
    self.context_.SwitchToForGood(self.thread_);
  }
  Stack Take() {
    EXPECT_TRUE(pool_.Reserve().ok());
    return pool_.Take();
  }

  StackPool pool_{size_t{512} << 10};
  const std::function<void(Fiber&)> body_;
  const Stack stack_;
  Context thread_;
  Context context_;
  StoppedBacktrace stopped_;
  uintptr_t entry_ = 0;
};

// Where each of the calls below was made, the last first.
using Calls = std::vector<uintptr_t>;

// Calls itself `depth` times, with frames of different kinds, and then `then`.
[[gnu::noinline]] int Descend(int depth, Calls& calls,
                              const std::function<void()>& then) {
  calls.push_back(CallBefore(__builtin_return_address(0)));
  // A frame whose size is not known to the compiler, and an aligned one.
  auto* const room = static_cast<volatile char*>(
      __builtin_alloca(static_cast<size_t>(16 + 16 * (depth % 3))));
  alignas(64) volatile int sum = depth;
  room[0] = static_cast<char>(depth);
  if (depth == 0) {
    then();
  } else {
    sum = sum + Descend(depth - 1, calls, then);
  }
  return sum + room[0];
}

// `backtrace` has the calls, in order, and ends with the entry of the fiber.
void ExpectCalls(const Backtrace& backtrace, const Calls& calls,
                 uintptr_t entry) {
  const auto begin = backtrace.frames.begin();
  const auto end = begin + static_cast<std::ptrdiff_t>(backtrace.size);
  const auto found = std::search(begin, end, calls.rbegin(), calls.rend());
  EXPECT_NE(found, end) << "the calls are not in the backtrace";
  ASSERT_GT(backtrace.size, 0u);
  EXPECT_FALSE(backtrace.cut);
  EXPECT_EQ(*(end - 1), entry) << "it does not end at the entry of the fiber";
}

TEST(BacktraceTest, S10WalkOnAFiberEndsAtItsEntry) {
  Backtrace backtrace;
  Calls calls;
  Fiber fiber(
      [&](Fiber&) { Descend(5, calls, [&] { TakeBacktrace(backtrace); }); });
  fiber.Resume();
  ExpectCalls(backtrace, calls, fiber.entry());
}

TEST(BacktraceTest, StoppedFiberIsSeenWithAllItsCalls) {
  Calls calls;
  bool ended = false;
  Fiber fiber([&](Fiber& self) {
    for (const int depth : {0, 1, 7}) {
      calls.clear();
      Descend(depth, calls, [&] { self.Pause(); });
    }
    ended = true;
  });
  for (const size_t depth : {size_t{0}, size_t{1}, size_t{7}}) {
    fiber.Resume();
    // As often as one likes: nothing is left behind on its stack.
    for (int i = 0; i < 300; ++i) {
      Backtrace backtrace;
      ASSERT_TRUE(fiber.LookAt(backtrace));
      ASSERT_EQ(calls.size(), depth + 1);
      ExpectCalls(backtrace, calls, fiber.entry());
      if (HasFailure()) return;
    }
  }
  fiber.Resume();
  EXPECT_TRUE(ended);
}

// Parts of it may be poisoned for ASan.
[[gnu::no_sanitize_address, gnu::noinline]] std::vector<char> ContentsOf(
    const Stack& stack) {
  const auto* const bytes =
      reinterpret_cast<const volatile char*>(stack.bottom);
  std::vector<char> contents(stack.size);
  for (size_t i = 0; i < stack.size; ++i) contents[i] = bytes[i];
  return contents;
}

TEST(BacktraceTest, LookingAtAStoppedFiberWritesNothingToItsStack) {
  Calls calls;
  Fiber fiber([&](Fiber& self) { Descend(3, calls, [&] { self.Pause(); }); });
  fiber.Resume();
  // Of the stack; the context of the fiber lies elsewhere.
  const std::vector<char> before = ContentsOf(fiber.stack());
  Backtrace backtrace;
  ASSERT_TRUE(fiber.LookAt(backtrace));
  const std::vector<char> after = ContentsOf(fiber.stack());
  // What no frame has used is compared, too.
  ValgrindFilled(before.data(), before.size());
  ValgrindFilled(after.data(), after.size());
  EXPECT_TRUE(after == before);
  fiber.Resume();
}

TEST(BacktraceTest, FiberThatHasNotRunHasNoBacktrace) {
  Fiber fiber([](Fiber&) {});
  Backtrace backtrace;
  EXPECT_FALSE(fiber.LookAt(backtrace));
  fiber.Resume();
}

TEST(BacktraceTest, DeepBacktraceIsCut) {
  Calls calls;
  Fiber fiber([&](Fiber& self) { Descend(100, calls, [&] { self.Pause(); }); });
  fiber.Resume();
  Backtrace backtrace;
  ASSERT_TRUE(fiber.LookAt(backtrace));
  EXPECT_TRUE(backtrace.cut);
  EXPECT_EQ(backtrace.size, Backtrace::kMost);
  fiber.Resume();
}

TEST(BacktraceTest, PlaceIsNamedWithItsFile) {
  Backtrace backtrace;
  TakeBacktrace(backtrace);
  ASSERT_GT(backtrace.size, 0u);
  Symbolizer symbolizer;
  EXPECT_EQ(symbolizer.Describe(backtrace.frames[0])
                .find("runtime_backtrace_test+0x"),
            0u)
      << symbolizer.Describe(backtrace.frames[0]);
  EXPECT_EQ(symbolizer.Describe(1), "0x1");
}

}  // namespace
}  // namespace weft::internal
