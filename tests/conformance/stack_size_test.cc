// S19: stacks of the size that a task asks for, how much of them it uses, and
// what becomes of their memory, on every backend.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "weft/backends/run.h"
#include "weft/runtime/fiber/internal/sanitizer.h"
#include "weft/runtime/future.h"
#include "weft/runtime/stack_use.h"
#include "weft/runtime/task_group.h"
#include "weft/tests/conformance/backends.h"

namespace weft {
namespace {

using absl::StatusCode;
using testing::MakeIo;
using testing::RunOn;
using testing::RunOnInstance;

constexpr size_t kKiB = 1024;
constexpr size_t kMiB = 1024 * kKiB;

// Touches `size` bytes of the stack. ASan would put the frames elsewhere.
[[gnu::noinline, gnu::no_sanitize_address]] void Use(size_t size) {
  volatile std::byte frame[4 * kKiB];
  for (size_t i = 0; i < sizeof(frame); i += 512) frame[i] = std::byte{1};
  if (size > sizeof(frame)) Use(size - sizeof(frame));
  frame[0] = frame[1];
}

template <class Config>
class StackSizeTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(StackSizeTest, testing::Backends, testing::BackendNames);

TYPED_TEST(StackSizeTest, TaskHasTheStackThatItAsksFor) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TaskGroup<B> group(io);
    // Twice, so that stacks and threads are used again.
    for (int round = 0; round < 2; ++round) {
      for (const size_t size : {64 * kKiB, 1000 * kKiB, 5 * kMiB}) {
        group.Spawn({.stack_size = size}, [size] { Use(size / 2); });
      }
      group.Spawn([] { Use(256 * kKiB); });
      EXPECT_TRUE(group.Await(io).ok());
    }
  });
}

TYPED_TEST(StackSizeTest, TaskKnowsTheSizeThatItWasGiven) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    const auto size_of = [](B& own) {
      return own.CurrentTask("test").stack_size();
    };
    EXPECT_EQ(Async(io, {.stack_size = 70000}, size_of).Await(io), 70000u);
    EXPECT_EQ(Async(io, size_of).Await(io), 0u);
  });
}

TYPED_TEST(StackSizeTest, ImpossibleSizeIsRefused) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (const size_t size : {size_t{1}, 64 * kKiB - 1, 1024 * kMiB + 1}) {
      bool called = false;
      const SpawnOptions options = {.name = "odd", .stack_size = size};
      auto future = Concurrent(io, options, [&] { called = true; });
      EXPECT_EQ(future.status().code(), StatusCode::kInvalidArgument);
      EXPECT_EQ(std::string(future.status().message()),
                absl::StrCat("start task 'odd': a stack of ", size,
                             " bytes is not possible; give 65536 to "
                             "1073741824, or 0 for the usual size"));
      TaskGroup<B> group(io);
      EXPECT_FALSE(group.Spawn(options, [&] { called = true; }));
      EXPECT_EQ(group.Await(io).code(), StatusCode::kInvalidArgument);
      EXPECT_FALSE(called);
    }
  });
}

template <class Config>
class StackSizeDeathTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(StackSizeDeathTest, testing::Backends, testing::BackendNames);

TYPED_TEST(StackSizeDeathTest, ImpossibleSizeInAsyncEndsTheProgram) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) {
                 Async(io, {.name = "odd", .stack_size = 1}, [] {}).Await(io);
               }),
               "weft: misuse: Async: start task 'odd': a stack of 1 bytes is "
               "not possible");
}

// --- How much is used ------------------------------------------------------

// Threaded does not measure.
struct MeasuringNames {
  template <class Config>
  static std::string GetName(int) {
    return Config::kName;
  }
};
template <class Config>
class StackUseTest : public testing::ConformanceTest<Config> {
 protected:
  static Options Measuring() {
    Options options = Config::options();
    options.measure_stacks = true;
    return options;
  }
  static auto MakeMeasuring() {
    return Config::Io::Create(Measuring()).value();
  }
};
using Measuring = ::testing::Types<testing::EventedUring1,
                                   testing::EventedUring2, testing::SimConfig>;
TYPED_TEST_SUITE(StackUseTest, Measuring, MeasuringNames);

// Frames that are not the task's own; sanitizers make them larger.
constexpr size_t kBeside = 48 * kKiB;

TYPED_TEST(StackUseTest, TaskReadsHowMuchItHasUsed) {
  using B = typename TypeParam::Io;
  const auto io = this->MakeMeasuring();
  RunOnInstance(*io, [](B& own) {
    Async(own, [](B& task_io) {
      const size_t before = StackUsed(task_io).value();
      EXPECT_GT(before, 0u);
      EXPECT_LT(before, kBeside);
      Use(200 * kKiB);
      const size_t after = StackUsed(task_io).value();
      EXPECT_GE(after, 200 * kKiB);
      EXPECT_LT(after, 200 * kKiB + kBeside);
    }).Await(own);
  });
}

const StackUse* FindUse(const std::vector<StackUse>& uses, int line) {
  for (const StackUse& use : uses) {
    if (use.where.line == line && use.where.file != nullptr &&
        absl::EndsWith(use.where.file, "stack_size_test.cc")) {
      return &use;
    }
  }
  return nullptr;
}

TYPED_TEST(StackUseTest, ReportHasTheMostOfEachPlace) {
  using B = typename TypeParam::Io;
  const auto io = this->MakeMeasuring();
  int deep = 0;
  int shallow = 0;
  const auto tasks_at = [](int line) {
    const std::vector<StackUse> uses = StackUseReport();
    const StackUse* const use = FindUse(uses, line);
    return use == nullptr ? 0 : use->tasks;
  };
  uint64_t tasks = 0;
  RunOnInstance(*io, [&](B& own) {
    // One after the other, on the same stack: the shallow one does not get the
    // blame for the deep one before it.
    for (const size_t size : {200 * kKiB, 8 * kKiB}) {
      const SourceLocation where = SourceLocation::Current();
      deep = where.line;
      tasks = tasks_at(deep) + 1;
      Async(own, {.where = where, .stack_size = kMiB}, [size] {
        Use(size);
      }).Await(own);
    }
    const SourceLocation where = SourceLocation::Current();
    shallow = where.line;
    Async(own, {.where = where, .stack_size = kMiB}, [] {
      Use(8 * kKiB);
    }).Await(own);
  });
  const std::vector<StackUse> uses = StackUseReport();
  const StackUse* const most = FindUse(uses, deep);
  const StackUse* const less = FindUse(uses, shallow);
  ASSERT_TRUE(most != nullptr && less != nullptr);
  EXPECT_EQ(most->tasks, tasks);
  EXPECT_GE(most->most_used, 200 * kKiB);
  EXPECT_LT(most->most_used, 200 * kKiB + kBeside);
  EXPECT_EQ(most->stack_size, kMiB);
  EXPECT_LT(less->most_used, 8 * kKiB + kBeside);
  // Those that used most come first.
  EXPECT_LT(most, less);
  EXPECT_EQ(ToString(*most), absl::StrCat(most->most_used,
                                          " of 1048576 bytes of stack at most "
                                          "by ",
                                          most->tasks, " tasks spawned at ",
                                          ToString(most->where)));
}

TYPED_TEST(StackUseTest, WithoutTheOptionNothingIsMeasured) {
  using B = typename TypeParam::Io;
  const auto io = MakeIo<TypeParam>();
  RunOnInstance(*io, [](B& own) {
    EXPECT_EQ(StackUsed(own).status().code(), StatusCode::kFailedPrecondition);
  });
}

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define WEFT_TEST_RESIDENT 1
#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#undef WEFT_TEST_RESIDENT
#endif
#endif
#endif

#if defined(WEFT_TEST_RESIDENT)
size_t ResidentBytes() {
  size_t pages = 0;
  std::ifstream statm("/proc/self/statm");
  statm >> pages >> pages;
  return pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

// S19. A sanitizer keeps a shadow of the memory, and so does Valgrind.
TYPED_TEST(StackUseTest, S19MemoryOfDeepStacksGoesBack) {
  if (internal::RunsOnValgrind()) GTEST_SKIP() << "it keeps a shadow";
  using B = typename TypeParam::Io;
  constexpr int kTasks = 20;
  constexpr size_t kDeep = 4 * kMiB;
  const auto io = MakeIo<TypeParam>();
  size_t before = 0;
  size_t during = 0;
  RunOnInstance(*io, [&](B& own) {
    before = ResidentBytes();
    TaskGroup<B> group(own);
    std::atomic<int> deep{0};
    std::atomic<bool> measured{false};
    for (int i = 0; i < kTasks; ++i) {
      group.Spawn({.stack_size = 64 * kMiB}, [&](B& task_io) {
        Use(kDeep);
        if (deep.fetch_add(1) + 1 == kTasks) {
          during = ResidentBytes();
          measured = true;
        }
        testing::YieldUntil(task_io, [&] { return measured.load(); });
      });
    }
    EXPECT_TRUE(group.Await(own).ok());
  });
  EXPECT_GE(during, before + kTasks * kDeep * 9 / 10);
  // Two stacks of this size keep their memory for the next tasks.
  EXPECT_LE(ResidentBytes(), before + kTasks * kDeep / 4);
}
#endif

TEST(StackUseOptionTest, ThreadedRefusesIt) {
  Options options;
  options.measure_stacks = true;
  const absl::Status status = Threaded::Create(options).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(status.message()),
            "option measure_stacks: does not apply to the threaded backend");
}

TEST(StackUseOptionTest, RunMainPrintsTheReport) {
  Options options;
  options.measure_stacks = true;
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(
      RunMain(options,
              [](auto& io) { Async(io, [] { Use(100 * kKiB); }).Await(io); }),
      0);
  const std::string printed = ::testing::internal::GetCapturedStderr();
  EXPECT_TRUE(absl::StartsWith(printed, "weft: ")) << printed;
  EXPECT_TRUE(absl::StrContains(
      printed, " of 524288 bytes of stack at most by 1 task spawned at "))
      << printed;
}

}  // namespace
}  // namespace weft
