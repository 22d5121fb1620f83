// S14, S15: a task that overflows its stack is named, and then the program
// ends as it would have, on every backend.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "weft/backends/run.h"
#include "weft/runtime/future.h"
#include "weft/runtime/task_group.h"
#include "weft/tests/conformance/backends.h"

namespace weft {
namespace {

using ::testing::KilledBySignal;

constexpr size_t kStackSize = size_t{256} << 10;

// What a sanitizer does about a fault is not what is tested.
void ForgetHandlers() {
  signal(SIGSEGV, SIG_DFL);
  signal(SIGBUS, SIG_DFL);
}

[[gnu::noinline]] int Recurse(volatile int* above) {
  volatile int here[64] = {*above};
  return here[0] == 0 ? 0 : Recurse(here) + here[0];
}

// Frame by frame, each smaller than the guard.
void OverflowByRecursion() {
  volatile int start = 1;
  (void)Recurse(&start);
}

// One frame that is larger than the stack and its guard.
[[gnu::noinline]] void OverflowByOneFrame() {
  volatile std::byte frame[2 * kStackSize];
  frame[0] = std::byte{1};
  frame[1] = frame[0];
}

template <class B>
void SpawnOverflow(B& io, void (*overflow)()) {
  Async(io, {.name = "deep"}, overflow).Await(io);
}

// So that the next task has one that was used before.
template <class B>
void UseStacks(B& io) {
  TaskGroup<B> group(io);
  for (int i = 0; i < 20; ++i) group.Spawn([] {});
  EXPECT_TRUE(group.Await(io).ok());
}

template <class Config>
std::unique_ptr<typename Config::Io> MakeReporting() {
  Options options = Config::options();
  options.report_overflow = true;
  options.stack_size = kStackSize;
  return Config::Io::Create(options).value();
}

template <class Config, class Fn>
void RunReporting(Fn fn) {
  ForgetHandlers();
  const auto io = MakeReporting<Config>();
  testing::RunOnInstance(*io, fn);
}

constexpr char kReport[] =
    "^weft: stack overflow in task 'deep', spawned at "
    ".*tests/conformance/overflow_test.cc:[0-9]+: its stack of 262144 bytes "
    "is full; give it more with SpawnOptions::stack_size, or all tasks with "
    "Options::stack_size, such as WEFT_STACK_SIZE=524288\n$";

template <class Config>
class OverflowDeathTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(OverflowDeathTest, testing::Backends, testing::BackendNames);

struct Overflow {
  const char* name;
  void (*overflow)();
  bool on_reused_stack;
};
constexpr Overflow kOverflows[] = {
    {"recursion", OverflowByRecursion, false},
    {"recursion on a reused stack", OverflowByRecursion, true},
    {"one huge frame", OverflowByOneFrame, false},
    {"one huge frame on a reused stack", OverflowByOneFrame, true},
};

TYPED_TEST(OverflowDeathTest, S14EveryOverflowIsReported) {
  using B = typename TypeParam::Io;
  for (const Overflow& given : kOverflows) {
    SCOPED_TRACE(given.name);
    EXPECT_EXIT(RunReporting<TypeParam>([&given](B& io) {
                  if (given.on_reused_stack) UseStacks(io);
                  SpawnOverflow(io, given.overflow);
                }),
                KilledBySignal(SIGSEGV), kReport);
  }
}

TYPED_TEST(OverflowDeathTest, HandlerOfTheHostProgramIsCalledAfterTheReport) {
  using B = typename TypeParam::Io;
  EXPECT_EXIT(
      {
        struct sigaction action {};
        action.sa_sigaction = [](int, siginfo_t* info, void* context) {
          constexpr char kLine[] = "the host knows\n";
          [[maybe_unused]] const ssize_t written =
              write(STDERR_FILENO, kLine, sizeof(kLine) - 1);
          _exit(info->si_code > 0 && context != nullptr ? 42 : 1);
        };
        action.sa_flags = SA_SIGINFO;
        sigaction(SIGSEGV, &action, nullptr);
        const auto io = MakeReporting<TypeParam>();
        testing::RunOnInstance(
            *io, [](B& own) { SpawnOverflow(own, OverflowByRecursion); });
      },
      ::testing::ExitedWithCode(42),
      "^weft: stack overflow in task 'deep'.*\nthe host knows\n$");
}

TYPED_TEST(OverflowDeathTest, OtherFaultsAreNotReported) {
  using B = typename TypeParam::Io;
  EXPECT_EXIT(RunReporting<TypeParam>([](B& io) {
                Async(io, {.name = "wild"}, [] {
                  // Volatile, so that no compiler knows.
                  volatile int* volatile nowhere = nullptr;
                  *nowhere = 1;
                }).Await(io);
              }),
              KilledBySignal(SIGSEGV), "^$");
}

TYPED_TEST(OverflowDeathTest, NothingIsReportedUnlessAskedFor) {
  using B = typename TypeParam::Io;
  EXPECT_EXIT(
      {
        ForgetHandlers();
        Options options = TypeParam::options();
        options.report_overflow = false;
        const auto io = TypeParam::Io::Create(options).value();
        testing::RunOnInstance(
            *io, [](B& own) { SpawnOverflow(own, OverflowByRecursion); });
      },
      KilledBySignal(SIGSEGV), "^$");
}

template <class Config>
class OverflowTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(OverflowTest, testing::Backends, testing::BackendNames);

struct sigaction HandlerOf(int number) {
  struct sigaction action {};
  sigaction(number, nullptr, &action);
  return action;
}

TYPED_TEST(OverflowTest, HandlersAreThereWhileAnInstanceWantsThem) {
  for (const int number : {SIGSEGV, SIGBUS}) {
    const auto before = HandlerOf(number).sa_sigaction;
    auto first = MakeReporting<TypeParam>();
    const auto ours = HandlerOf(number).sa_sigaction;
    EXPECT_NE(ours, before);
    auto second = MakeReporting<TypeParam>();
    first = nullptr;
    EXPECT_EQ(HandlerOf(number).sa_sigaction, ours);
    second = nullptr;
    EXPECT_EQ(HandlerOf(number).sa_sigaction, before);
  }
}

TYPED_TEST(OverflowTest, HandlerInstalledAboveStays) {
  const struct sigaction before = HandlerOf(SIGSEGV);
  struct sigaction host {};
  host.sa_handler = [](int) {};
  {
    const auto io = MakeReporting<TypeParam>();
    sigaction(SIGSEGV, &host, nullptr);
  }
  EXPECT_EQ(HandlerOf(SIGSEGV).sa_handler, host.sa_handler);
  // Below it there is still one of weft; a second above it would be a circle.
  { const auto io = MakeReporting<TypeParam>(); }
  EXPECT_EQ(HandlerOf(SIGSEGV).sa_handler, host.sa_handler);
  sigaction(SIGSEGV, &before, nullptr);
}

// A fault that the host program mends: weft's handler is passed through.
std::atomic<int> mended{0};

TYPED_TEST(OverflowTest, FaultThatTheHostProgramMendsGoesOn) {
  using B = typename TypeParam::Io;
  struct sigaction before {};
  struct sigaction action {};
  action.sa_handler = [](int) { mended.fetch_add(1); };
  sigaction(SIGSEGV, &action, &before);
  {
    const auto io = MakeReporting<TypeParam>();
    const int mended_before = mended;
    testing::RunOnInstance(
        *io, [](B& own) { Async(own, [] { raise(SIGSEGV); }).Await(own); });
    EXPECT_EQ(mended, mended_before + 1);
  }
  sigaction(SIGSEGV, &before, nullptr);
}

// S15. The handler's frame alone is larger than what is left of the stack.
std::atomic<bool> handled{false};

// ASan would put what lies in a frame elsewhere.
[[gnu::noinline, gnu::no_sanitize_address]] void RaiseNear(
    const volatile std::byte* end) {
  volatile std::byte here[512];
  here[0] = std::byte{1};
  if (&here[0] > end) {
    RaiseNear(end);
  } else {
    raise(SIGUSR1);
  }
  here[1] = here[0];
}

TYPED_TEST(OverflowTest, S15HandlerRunsWhereTheStackIsNearlyFull) {
  using B = typename TypeParam::Io;
  struct sigaction before {};
  struct sigaction action {};
  action.sa_handler = [](int) {
    volatile std::byte frame[32 << 10];
    frame[0] = std::byte{1};
    handled = frame[0] == std::byte{1};
  };
  action.sa_flags = SA_ONSTACK;
  sigaction(SIGUSR1, &action, &before);
  handled = false;
  {
    const auto io = MakeReporting<TypeParam>();
    testing::RunOnInstance(*io, [](B& own) {
      Async(own, [] {
        const auto* const top =
            static_cast<const std::byte*>(__builtin_frame_address(0));
        // Threads have some of their own above.
        RaiseNear(top - (kStackSize - (size_t{34} << 10)));
      }).Await(own);
    });
  }
  EXPECT_TRUE(handled);
  sigaction(SIGUSR1, &before, nullptr);
}

// S15. Where there is no alternate stack, or the handler does not ask for it.
TYPED_TEST(OverflowTest, S15SmallestStackHasRoomForAHandler) {
  using B = typename TypeParam::Io;
  constexpr ptrdiff_t kFrames = ptrdiff_t{32} << 10;
  struct sigaction before {};
  struct sigaction action {};
  action.sa_handler = [](int) {
    // With the kernel's frame 12 KiB where that has vectors of 512 bits.
    volatile std::byte frame[8 << 10];
    frame[0] = std::byte{1};
    handled = frame[0] == std::byte{1};
  };
  sigaction(SIGUSR1, &action, &before);
  handled = false;
  testing::RunOn<TypeParam>([](B& io) {
    Async(io, {.stack_size = kLeastStackSize}, [] {
      const auto* const top =
          static_cast<const std::byte*>(__builtin_frame_address(0));
      RaiseNear(top - kFrames);
    }).Await(io);
  });
  EXPECT_TRUE(handled);
  sigaction(SIGUSR1, &before, nullptr);
}

TEST(OverflowRunMainTest, RunMainReportsUnlessToldOtherwise) {
  const auto installs = [](std::optional<bool> report) {
    Options options;
    options.report_overflow = report;
    const auto before = HandlerOf(SIGSEGV).sa_sigaction;
    bool installed = false;
    EXPECT_EQ(RunMain(options,
                      [&](auto&) {
                        installed = HandlerOf(SIGSEGV).sa_sigaction != before;
                      }),
              0);
    EXPECT_EQ(HandlerOf(SIGSEGV).sa_sigaction, before);
    return installed;
  };
  EXPECT_TRUE(installs(std::nullopt));
  EXPECT_TRUE(installs(true));
  EXPECT_FALSE(installs(false));
}

}  // namespace
}  // namespace weft
