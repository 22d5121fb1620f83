// Pitfalls C1 to C3, on every backend: calls end on cancels and deadlines,
// whenever these come, and nothing is lost by it.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "weft/runtime/future.h"
#include "weft/runtime/io.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/channel.h"
#include "weft/tests/conformance/backends.h"
#include "weft/tests/conformance/descriptors.h"
#include "weft/tests/conformance/wait_watch.h"
#include "weft/tests/conformance/waits.h"

namespace weft {
namespace {

using namespace std::chrono_literals;
using absl::StatusCode;
using testing::KernelWaits;
using testing::kFarAway;
using testing::RunOn;
using testing::Seed;
using testing::SocketPair;
using testing::TaskWaits;
using testing::Wait;
using testing::WaitWatch;

template <class Config>
class PitfallC : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(PitfallC, testing::Backends, testing::BackendNames);

// What needs the kernel.
template <class Config>
using PitfallCKernel = PitfallC<Config>;
TYPED_TEST_SUITE(PitfallCKernel, testing::KernelBackends,
                 testing::BackendNames);

void YieldTimes(Io& io, uint32_t times) {
  for (; times > 0; --times) io.Yield();
}

// --- C1: every blocking call returns on a cancel and on a deadline ----------

// Before, while and after the call begins to wait.
template <Backend B>
void ExpectCancelEnds(B& io, const std::vector<Wait<B>>& waits) {
  for (const Wait<B>& wait : waits) {
    SCOPED_TRACE(wait.name);
    for (uint32_t yields = 0; yields < 15; ++yields) {
      auto future = Async(io, [&](B& own) { return wait.call(own); });
      YieldTimes(io, yields);
      future.Cancel();
      const absl::Status ended = future.Await(io);
      EXPECT_EQ(ended.code(), StatusCode::kCancelled) << ended;
    }
  }
}

template <Backend B>
void ExpectDeadlineEnds(B& io, const std::vector<Wait<B>>& waits) {
  for (const Wait<B>& wait : waits) {
    SCOPED_TRACE(wait.name);
    for (const Duration timeout : {Duration(5ms), Duration(0)}) {
      Async(io, [&](B& own) {
        const MonotonicTime begin = own.Now();
        const Deadline deadline(own, timeout);
        const absl::Status ended = wait.call(own);
        EXPECT_EQ(ended.code(), StatusCode::kDeadlineExceeded) << ended;
        EXPECT_GE(own.Now() - begin, timeout);
      }).Await(io);
    }
    EXPECT_TRUE(CheckCancelled(io).ok());
  }
}

template <Backend B>
void ExpectCancelAndDeadlineMayMeet(B& io, const std::vector<Wait<B>>& waits) {
  for (const Wait<B>& wait : waits) {
    SCOPED_TRACE(wait.name);
    for (int round = 0; round < 10; ++round) {
      std::optional<CancelScope> scope;
      auto waiter = Async(io, [&](B& own) {
        scope.emplace(own);
        auto canceller = Async(own, [&](B& other) {
          EXPECT_TRUE(Sleep(other, 200us).ok());
          scope->Cancel();
        });
        {
          const Deadline deadline(own, 200us);
          const absl::Status ended = wait.call(own);
          EXPECT_TRUE(absl::IsCancelled(ended) ||
                      absl::IsDeadlineExceeded(ended))
              << ended;
        }
        {
          const Shield shield(own);
          canceller.Await(own);
        }
        scope.reset();
      });
      waiter.Await(io);
    }
  }
}

TYPED_TEST(PitfallC, C1CancelEndsEachCall) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TaskWaits<B> waits(io);
    ExpectCancelEnds(io, waits.All());
  });
}

TYPED_TEST(PitfallCKernel, C1CancelEndsEachOperation) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    KernelWaits<B> waits;
    ExpectCancelEnds(io, waits.All());
  });
}

TYPED_TEST(PitfallC, C1DeadlineEndsEachCall) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TaskWaits<B> waits(io);
    ExpectDeadlineEnds(io, waits.All());
  });
}

TYPED_TEST(PitfallCKernel, C1DeadlineEndsEachOperation) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    KernelWaits<B> waits;
    ExpectDeadlineEnds(io, waits.All());
  });
}

TYPED_TEST(PitfallC, C1CancelAndDeadlineMayMeetInEachCall) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TaskWaits<B> waits(io);
    ExpectCancelAndDeadlineMayMeet(io, waits.All());
  });
}

TYPED_TEST(PitfallCKernel, C1CancelAndDeadlineMayMeetInEachOperation) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    KernelWaits<B> waits;
    ExpectCancelAndDeadlineMayMeet(io, waits.All());
  });
}

// The task is known to wait when the cancel comes.
TYPED_TEST(PitfallCKernel, C1CancelWakesEachTaskThatWaits) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TaskWaits<B> task_waits(io);
    KernelWaits<B> kernel_waits;
    std::vector<Wait<B>> waits = task_waits.All();
    for (Wait<B>& wait : kernel_waits.All()) waits.push_back(std::move(wait));
    for (const Wait<B>& wait : waits) {
      SCOPED_TRACE(wait.name);
      for (int round = 0; round < 3; ++round) {
        WaitWatch watch;
        auto future = Async(io, [&](B& own) {
          watch.Begin();
          return wait.call(own);
        });
        watch.AwaitParked(io);
        EXPECT_FALSE(future.ready());
        future.Cancel();
        const absl::Status ended = future.Await(io);
        EXPECT_EQ(ended.code(), StatusCode::kCancelled) << ended;
      }
    }
    // And all of them at once.
    TaskGroup<B> group(io);
    std::atomic<size_t> cancelled{0};
    std::vector<WaitWatch> watches(waits.size());
    for (size_t i = 0; i < waits.size(); ++i) {
      group.Spawn([&, i](B& own) {
        watches[i].Begin();
        if (absl::IsCancelled(waits[i].call(own))) cancelled.fetch_add(1);
      });
    }
    for (const WaitWatch& watch : watches) watch.AwaitParked(io);
    group.Cancel();
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_EQ(cancelled.load(), waits.size());
  });
}

// --- C2: a cancel is never lost, whenever it comes --------------------------

// Lets a random, short time pass.
template <Backend B>
void Linger(B& io, std::mt19937& random) {
  if (random() % 3 == 0) {
    (void)Sleep(io, std::chrono::microseconds(random() % 100));
  } else {
    YieldTimes(io, static_cast<uint32_t>(random() % 12));
  }
}

// Makes `wait` twice; a cancel that one call reported holds for the next.
template <Backend B>
bool IsCancelledTwice(B& io, const Wait<B>& wait) {
  return absl::IsCancelled(wait.call(io)) && absl::IsCancelled(wait.call(io));
}

// Cancels a task that waits in one of the ways there are to do it.
template <Backend B>
void CancelOne(B& io, const Wait<B>& wait, std::mt19937& random) {
  SCOPED_TRACE(wait.name);
  const uint32_t way = random() % 4;
  SCOPED_TRACE(way);
  if (way == 0) {
    auto waiter =
        Async(io, [&](B& own) { return IsCancelledTwice(own, wait); });
    Linger(io, random);
    waiter.Cancel();
    EXPECT_TRUE(waiter.Await(io));
  } else if (way == 1) {
    TaskGroup<B> group(io);
    std::atomic<int> cancelled{0};
    const auto task = [&](B& own) {
      if (IsCancelledTwice(own, wait)) cancelled.fetch_add(1);
    };
    group.Spawn(task);
    Linger(io, random);
    group.Cancel();
    // One that is spawned now is cancelled from the beginning.
    group.Spawn(task);
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_EQ(cancelled.load(), 2);
  } else if (way == 2) {
    // The scope of a task, by another one.
    Async(io, [&](B& own) {
      CancelScope scope(own);
      const uint32_t seed = static_cast<uint32_t>(random());
      auto canceller = Async(own, [&scope, seed](B& other) {
        std::mt19937 moment(seed);
        Linger(other, moment);
        scope.Cancel();
      });
      EXPECT_TRUE(IsCancelledTwice(own, wait));
      const Shield shield(own);
      canceller.Await(own);
    }).Await(io);
  } else {
    // A deadline of whoever awaits the task reaches it as a cancel.
    const Deadline deadline(io, std::chrono::microseconds(random() % 300));
    auto waiter =
        Async(io, [&](B& own) { return IsCancelledTwice(own, wait); });
    EXPECT_TRUE(waiter.Await(io));
  }
}

template <Backend B>
void CancelAtRandomMoments(B& io, const Seed& seed,
                           const std::vector<Wait<B>>& waits) {
  constexpr uint32_t kTasks = 8;
  constexpr int kRounds = 60;
  TaskGroup<B> group(io);
  for (uint32_t task = 0; task < kTasks; ++task) {
    group.Spawn([&, task](B& own) {
      std::mt19937 random = seed.GeneratorFor(task);
      for (int round = 0; round < kRounds; ++round) {
        CancelOne(own, waits[random() % waits.size()], random);
      }
    });
  }
  EXPECT_TRUE(group.Await(io).ok());
}

TYPED_TEST(PitfallC, C2CancelAtARandomMomentEndsEachCall) {
  using B = typename TypeParam::Io;
  const Seed seed;
  RunOn<TypeParam>([&](B& io) {
    TaskWaits<B> waits(io);
    CancelAtRandomMoments(io, seed, waits.All());
  });
}

TYPED_TEST(PitfallCKernel, C2CancelAtARandomMomentEndsEachOperation) {
  using B = typename TypeParam::Io;
  const Seed seed;
  RunOn<TypeParam>([&](B& io) {
    KernelWaits<B> waits;
    CancelAtRandomMoments(io, seed, waits.All());
  });
}

// --- C3: no data is lost to a deadline --------------------------------------

TYPED_TEST(PitfallC, C3DeadlineThatMeetsAValueLosesNone) {
  using B = typename TypeParam::Io;
  const Seed seed;
  RunOn<TypeParam>([&](B& io) {
    constexpr int kValues = 1000;
    Channel<int, B> channel(0);
    auto sender = Async(io, [&](B& own) {
      std::mt19937 random = seed.GeneratorFor(0);
      for (int value = 0; value < kValues;) {
        const Deadline deadline(own, std::chrono::microseconds(random() % 60));
        const absl::Status sent = channel.Send(own, int{value});
        ASSERT_TRUE(sent.ok() || absl::IsDeadlineExceeded(sent)) << sent;
        if (sent.ok()) ++value;
      }
    });
    std::mt19937 random = seed.GeneratorFor(1);
    for (int expected = 0; expected < kValues;) {
      const Deadline deadline(io, std::chrono::microseconds(random() % 60));
      const absl::StatusOr<int> value = channel.Receive(io);
      if (absl::IsDeadlineExceeded(value.status())) continue;
      ASSERT_TRUE(value.ok()) << value.status();
      ASSERT_EQ(*value, expected);
      ++expected;
    }
    sender.Await(io);
  });
}

TYPED_TEST(PitfallCKernel, C3DeadlineThatMeetsBytesLosesNone) {
  using B = typename TypeParam::Io;
  const Seed seed;
  RunOn<TypeParam>([&](B& io) {
    constexpr int kBytes = 1000;
    SocketPair pair;
    auto sender = Async(io, [&](B& own) {
      std::mt19937 random = seed.GeneratorFor(0);
      for (int i = 0; i < kBytes; ++i) {
        const char byte = static_cast<char>(i);
        ASSERT_EQ(own.Perform(op::Send{
                      .fd = pair.second.fd(), .data = &byte, .size = 1}),
                  1);
        EXPECT_TRUE(Sleep(own, std::chrono::microseconds(random() % 60)).ok());
      }
    });
    std::mt19937 random = seed.GeneratorFor(1);
    int timeouts = 0;
    for (int received = 0; received < kBytes;) {
      const Deadline deadline(io, std::chrono::microseconds(random() % 60));
      char byte = 0;
      const int64_t n =
          io.Perform(op::Recv{.fd = pair.first.fd(),
                              .data = &byte,
                              .size = 1,
                              .probably_empty = random() % 2 == 0});
      if (n == -ETIME) {
        ++timeouts;
        continue;
      }
      ASSERT_EQ(n, 1);
      ASSERT_EQ(byte, static_cast<char>(received));
      ++received;
    }
    EXPECT_GT(timeouts, 0);
    sender.Await(io);
  });
}

}  // namespace
}  // namespace weft
