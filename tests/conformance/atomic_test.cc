#include "weft/sync/atomic.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <type_traits>

#include "weft/runtime/task_group.h"
#include "weft/tests/conformance/backends.h"

namespace weft {
namespace {

using testing::RunOn;

// The use that the header shows.
template <Backend B>
class Sequence {
 public:
  uint64_t Next() { return next_.fetch_add(1, std::memory_order_relaxed); }

 private:
  weft::Atomic<uint64_t, B> next_{0};
};

template <class Config>
class AtomicTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(AtomicTest, testing::Backends, testing::BackendNames);

TYPED_TEST(AtomicTest, EachNumberIsDrawnOnce) {
  using B = typename TypeParam::Io;
  constexpr uint64_t kTasks = 4;
  constexpr uint64_t kDraws = 1000;
  RunOn<TypeParam>([](B& io) {
    Sequence<B> sequence;
    Atomic<uint64_t, B> sum{0};
    TaskGroup<B> group(io);
    for (uint64_t i = 0; i < kTasks; ++i) {
      group.Spawn([&](B& own) {
        for (uint64_t draw = 0; draw < kDraws; ++draw) {
          sum += sequence.Next();
          if (draw % 100 == 0) own.Yield();
        }
      });
    }
    EXPECT_TRUE(group.Await(io).ok());
    constexpr uint64_t kAll = kTasks * kDraws;
    EXPECT_EQ(sequence.Next(), kAll);
    EXPECT_EQ(sum, kAll * (kAll - 1) / 2);
  });
}

// What a task wrote before it let go is seen by the next that takes it.
TYPED_TEST(AtomicTest, FlagGuardsWhatItIsMeantToGuard) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Atomic<bool, B> taken{false};
    int guarded = 0;
    TaskGroup<B> group(io);
    for (int i = 0; i < 4; ++i) {
      group.Spawn([&](B& own) {
        for (int turn = 0; turn < 100; ++turn) {
          while (taken.exchange(true, std::memory_order_acquire)) own.Yield();
          ++guarded;
          taken.store(false, std::memory_order_release);
        }
      });
    }
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_EQ(guarded, 400);
  });
}

static_assert(std::is_same_v<Atomic<int, Threaded>, std::atomic<int>>);
static_assert(std::is_same_v<Atomic<int*, Evented>, std::atomic<int*>>);

}  // namespace
}  // namespace weft
