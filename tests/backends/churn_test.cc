// S13: fibers that come and go in great numbers, with values handed over
// between workers. Above all for TSan, which has a place for only some thousand
// fibers and loses one with each that it is not told of the end of: there are
// ten times as many.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "weft/backends/evented/evented.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/channel.h"
#include "weft/sync/event.h"
#include "weft/tests/conformance/backends.h"

namespace weft {
namespace {

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEFT_CHURN_TSAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__) || defined(WEFT_CHURN_TSAN)
constexpr uint32_t kUsualFibers = 100'000;
#else
constexpr uint32_t kUsualFibers = 10'000;
#endif

// WEFT_TEST_FIBERS: how many come and go.
uint32_t Fibers() {
  const char* given = std::getenv("WEFT_TEST_FIBERS");
  return given == nullptr ? kUsualFibers
                          : static_cast<uint32_t>(std::atoi(given));
}

constexpr uint32_t kAtOnce = 500;

struct Handed {
  uint64_t value = 1;
  Event<Evented> seen;
};

TEST(ChurnTest, S13FibersComeAndGoOnTwoWorkers) {
  const auto io = Evented::Create({.workers = 2}).value();
  testing::RunOnInstance(*io, [](Evented& own) {
    const uint32_t fibers = Fibers();
    uint64_t sum = 0;
    Channel<Handed*, Evented> handed(/*capacity=*/8);
    TaskGroup<Evented> group(own);
    for (uint32_t done = 0; done < fibers; done += kAtOnce) {
      const uint32_t count = std::min(kAtOnce, fibers - done);
      for (uint32_t i = 0; i < count; ++i) {
        // What is handed over lies on the stack of a fiber of either worker.
        group.Spawn([&](Evented& task_io) {
          Handed here;
          EXPECT_TRUE(handed.Send(task_io, &here).ok());
          EXPECT_TRUE(here.seen.Wait(task_io).ok());
          EXPECT_EQ(here.value, 2u);
        });
      }
      for (uint32_t i = 0; i < count; ++i) {
        Handed& there = *handed.Receive(own).value();
        sum += there.value++;
        there.seen.Set(own);
      }
      EXPECT_TRUE(group.Await(own).ok());
    }
    EXPECT_EQ(sum, fibers);
  });
}

}  // namespace
}  // namespace weft
