// What happens when no further task can be started, on every backend.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "weft/runtime/future.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/event.h"
#include "weft/tests/conformance/backends.h"
#include "weft/tests/conformance/limits.h"

namespace weft {
namespace {

using namespace std::chrono_literals;
using absl::StatusCode;
using testing::InChild;
using testing::LimitAddressSpace;
using testing::RunOnInstance;

template <class Config>
class TaskLimitsTest : public testing::ConformanceTest<Config> {
 protected:
  static std::unique_ptr<typename Config::Io> MakeWith(uint32_t max_tasks) {
    Options options = Config::options();
    options.max_tasks = max_tasks;
    return Config::Io::Create(options).value();
  }
};
TYPED_TEST_SUITE(TaskLimitsTest, testing::Backends, testing::BackendNames);

// What needs the kernel or threads of the host program.
template <class Config>
using TaskLimitsKernelTest = TaskLimitsTest<Config>;
TYPED_TEST_SUITE(TaskLimitsKernelTest, testing::KernelBackends,
                 testing::BackendNames);

// Starts tasks that wait for `gate` until one is refused; returns them.
template <class B>
std::vector<Future<void, B>> StartUntilRefused(B& io, Event<B>& gate,
                                               size_t most) {
  std::vector<Future<void, B>> futures;
  while (futures.size() < most) {
    auto future = Concurrent(io, [&] { (void)gate.Wait(io); });
    if (!future.ok()) break;
    futures.push_back(*std::move(future));
  }
  EXPECT_LT(futures.size(), most);
  return futures;
}

// Every way to start a task, while none can be.
template <class B>
void ExpectRefusals(B& io, const std::string& message) {
  const auto captured = std::make_shared<int>(0);
  bool called = false;
  const auto refused = Concurrent(io, [&called, captured] { called = true; });
  EXPECT_EQ(refused.status().code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(absl::StrContains(refused.status().message(), message))
      << refused.status();
  EXPECT_FALSE(called);
  EXPECT_EQ(captured.use_count(), 1);

  const uint64_t caller = io.CurrentTask("test").id();
  Future<std::thread::id, B> inlined = Async(io, [&](B& given) {
    called = true;
    EXPECT_EQ(given.CurrentTask("test").id(), caller);
    EXPECT_TRUE(Sleep(given, 1ms).ok());
    return std::this_thread::get_id();
  });
  EXPECT_TRUE(called);
  EXPECT_TRUE(inlined.ready());
  inlined.Cancel();
  EXPECT_EQ(inlined.Await(io), std::this_thread::get_id());

  auto throwing = Async(io, [] { throw std::logic_error("inline"); });
  EXPECT_TRUE(throwing.ready());
  EXPECT_THROW(throwing.Await(io), std::logic_error);

  TaskGroup<B> group(io);
  called = false;
  EXPECT_FALSE(group.Spawn([&called, captured] { called = true; }));
  EXPECT_FALSE(called);
  EXPECT_EQ(captured.use_count(), 1);
  EXPECT_EQ(group.running(), 0u);
  const absl::Status kept = group.Await(io);
  EXPECT_EQ(kept.code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(absl::StrContains(kept.message(), message)) << kept;
  EXPECT_TRUE(group.Await(io).ok());
}

TYPED_TEST(TaskLimitsTest, MoreThanMaxTasksAreRefused) {
  using B = typename TypeParam::Io;
  const auto io = TestFixture::MakeWith(4);
  RunOnInstance(*io, [](B& own) {
    Event<B> gate;
    auto futures = StartUntilRefused(own, gate, 10);
    // The task of Run is the fourth.
    EXPECT_EQ(futures.size(), 3u);
    ExpectRefusals(own, "the limit of 4 tasks is reached");
    gate.Set(own);
    for (auto& future : futures) future.Await(own);
    EXPECT_TRUE(Concurrent(own, [] {}).ok());
  });
}

TYPED_TEST(TaskLimitsTest, RunIsRefusedToo) {
  using B = typename TypeParam::Io;
  const auto io = TestFixture::MakeWith(1);
  RunOnInstance(*io, [&](B& own) {
    EXPECT_EQ(Concurrent(own, [] {}).status().code(),
              StatusCode::kResourceExhausted);
    std::thread([&] {
      EXPECT_EQ(io->Run([](B&) {}).code(), StatusCode::kResourceExhausted);
    }).join();
  });
  RunOnInstance(*io, [](B&) {});
}

TYPED_TEST(TaskLimitsTest, RefusalNamesTheTask) {
  using B = typename TypeParam::Io;
  const auto io = TestFixture::MakeWith(2);
  RunOnInstance(*io, [](B& own) {
    Event<B> gate;
    auto futures = StartUntilRefused(own, gate, 10);
    EXPECT_EQ(Concurrent(own, {.name = "late"}, [] {}).status().message(),
              "start task 'late': the limit of 2 tasks is reached");
    gate.Set(own);
  });
}

// An awaited task is out of the count.
TYPED_TEST(TaskLimitsTest, NextTaskStartsAtOnceAfterAnAwait) {
  using B = typename TypeParam::Io;
  const auto io = TestFixture::MakeWith(2);
  RunOnInstance(*io, [](B& own) {
    for (int i = 0; i < 2000; ++i) {
      auto future = Concurrent(own, [i] { return i; });
      ASSERT_TRUE(future.ok()) << i << ": " << future.status();
      EXPECT_EQ(future->Await(own), i);
      TaskGroup<B> group(own);
      ASSERT_TRUE(group.Spawn([] {}));
      ASSERT_TRUE(group.Await(own).ok());
    }
  });
}

TYPED_TEST(TaskLimitsTest, GroupOfManyTasksGetsByWithFew) {
  using B = typename TypeParam::Io;
  const auto io = TestFixture::MakeWith(5);
  RunOnInstance(*io, [](B& own) {
    TaskGroup<B> group(own, {.max_concurrent = 4});
    int ran = 0;
    std::atomic<int> count{0};
    for (; ran < 1000; ++ran) {
      if (!group.Spawn([&count] { count.fetch_add(1); })) break;
    }
    EXPECT_TRUE(group.Await(own).ok());
    EXPECT_EQ(ran, 1000);
    EXPECT_EQ(count.load(), 1000);
  });
}

// The address space has room for two stacks of 1 GiB, not for more.
TYPED_TEST(TaskLimitsKernelTest, RefusedStackOrThreadIsResourceExhausted) {
  using B = typename TypeParam::Io;
  EXPECT_EXIT(InChild([] {
                Options options = TypeParam::options();
                options.stack_size = size_t{1} << 30;
                const auto io = B::Create(options).value();
                RunOnInstance(*io, [](B& own) {
                  // No task ends between here and the refusals: its stack would
                  // come back at any time after that.
                  LimitAddressSpace((size_t{2} << 30) + (size_t{512} << 20));
                  Event<B> gate;
                  auto futures = StartUntilRefused(own, gate, 200);
                  EXPECT_GE(futures.size(), 1u);
                  ExpectRefusals(own, "the system refused a ");
                  gate.Set(own);
                  for (auto& future : futures) future.Await(own);
                  futures.clear();
                  EXPECT_EQ(Async(own, [] { return 3; }).Await(own), 3);
                });
              }),
              ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace weft
