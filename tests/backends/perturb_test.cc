// The option perturb_seed.

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "weft/backends/evented/evented.h"
#include "weft/backends/sim/sim.h"
#include "weft/backends/threaded/threaded.h"
#include "weft/runtime/future.h"
#include "weft/runtime/internal/errno_marker.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/event.h"
#include "weft/sync/mutex.h"
#include "weft/tests/conformance/backends.h"
#include "weft/tests/conformance/descriptors.h"

namespace weft {
namespace {

using testing::RunOnInstance;
using testing::SocketPair;

class PerturbTest : public testing::ConformanceTest<testing::EventedUring1> {
 protected:
  static std::unique_ptr<Evented> Make(uint64_t seed, uint32_t workers = 1) {
    Options options;
    options.workers = workers;
    options.perturb_seed = seed;
    return Evented::Create(options).value();
  }
};

// What a reader finds that wrongly takes two yields for long enough.
int ReadTooSoon(Evented& io) {
  int value = 0;
  auto writer = Async(io, [&] {
    io.Yield();
    value = 1;
  });
  auto reader = Async(io, [&] {
    io.Yield();
    io.Yield();
    return value;
  });
  writer.Await(io);
  return reader.Await(io);
}

// The order in which three tasks get through what they do, as their letters.
std::string OrderOfTasks(Evented& io) {
  std::string order;
  Mutex<Evented> mutex;
  TaskGroup<Evented> group(io);
  for (const char letter : {'a', 'b', 'c'}) {
    group.Spawn([&, letter] {
      for (int i = 0; i < 8; ++i) {
        MutexLock lock(mutex, io);
        order += letter;
        io.Yield();
        order += letter;
      }
    });
  }
  EXPECT_TRUE(group.Await(io).ok());
  return order;
}

template <class Fn>
auto ResultOf(Evented& io, Fn fn) {
  decltype(fn(io)) result = {};
  RunOnInstance(io, [&](Evented& own) { result = fn(own); });
  return result;
}

TEST_F(PerturbTest, RaceShowsWithSomeSeedsOnly) {
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(ResultOf(*Make(0), ReadTooSoon), 1);
  }
  std::set<int> values;
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    values.insert(ResultOf(*Make(seed), ReadTooSoon));
  }
  EXPECT_EQ(values, (std::set<int>{0, 1}));
}

TEST_F(PerturbTest, SeedDecidesTheOrderOnOneWorkerWithoutOperations) {
  std::set<std::string> orders;
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    const std::string order = ResultOf(*Make(seed), OrderOfTasks);
    EXPECT_EQ(ResultOf(*Make(seed), OrderOfTasks), order) << "seed " << seed;
    orders.insert(order);
  }
  EXPECT_GT(orders.size(), 40u);
}

TEST_F(PerturbTest, ErrnoIsLostInAWait) {
  const auto wait = [](Evented& io) {
    errno = EAGAIN;
    EXPECT_TRUE(Sleep(io, std::chrono::milliseconds(1)).ok());
    return errno;
  };
  EXPECT_EQ(ResultOf(*Make(0), wait), EAGAIN);
  EXPECT_EQ(ResultOf(*Make(1), wait), internal::kErrnoMarker);
}

TEST_F(PerturbTest, ZeroIsOff) {
  const std::unique_ptr<Evented> plain =
      Evented::Create({.workers = 1}).value();
  EXPECT_EQ(ResultOf(*Make(0), OrderOfTasks), ResultOf(*plain, OrderOfTasks));
  EXPECT_EQ(Make(0)->Describe().details, plain->Describe().details);
}

TEST_F(PerturbTest, DescriptionNamesTheSeed) {
  EXPECT_NE(Make(123456)->Describe().details.find("perturb_seed 123456"),
            std::string::npos);
}

// Forty fibers that are always ready. Between two turns of one of them the
// others have their own ones, those that overtake it and those that go while it
// is delayed.
TEST_F(PerturbTest, NoFiberIsOvertakenForEver) {
  constexpr size_t kFibers = 40;
  constexpr uint64_t kTurns = 20'000;
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    uint64_t turns = 0;
    uint64_t longest_wait = 0;
    RunOnInstance(*Make(seed), [&](Evented& io) {
      TaskGroup<Evented> group(io);
      for (size_t i = 0; i < kFibers; ++i) {
        group.Spawn([&] {
          while (turns < kTurns) {
            const uint64_t before = ++turns;
            io.Yield();
            longest_wait = std::max(longest_wait, turns - before);
          }
        });
      }
      EXPECT_TRUE(group.Await(io).ok());
    });
    EXPECT_LE(longest_wait, kFibers + 16 * 32 + 7) << "seed " << seed;
    EXPECT_GT(longest_wait, kFibers) << "seed " << seed;
  }
}

// Between two turns of one task, the other has none, one, or several.
TEST_F(PerturbTest, TaskMayRunSeveralTimesInARow) {
  size_t longest_run = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    std::string order;
    RunOnInstance(*Make(seed), [&](Evented& io) {
      const auto append = [&](char letter) {
        for (int i = 0; i < 20; ++i) {
          order += letter;
          io.Yield();
        }
      };
      auto first = Async(io, [&] { append('a'); });
      auto second = Async(io, [&] { append('b'); });
      first.Await(io);
      second.Await(io);
    });
    const size_t both_run = std::min(order.rfind('a'), order.rfind('b'));
    size_t run = 1;
    for (size_t i = 1; i <= both_run; ++i) {
      run = order[i] == order[i - 1] ? run + 1 : 1;
      longest_run = std::max(longest_run, run);
    }
  }
  EXPECT_GE(longest_run, 3u);
}

TEST_F(PerturbTest, OperationsLoseNothing) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    RunOnInstance(*Make(seed, /*workers=*/2), [](Evented& io) {
      constexpr int kBytes = 200;
      TaskGroup<Evented> group(io);
      for (int pair = 0; pair < 8; ++pair) {
        group.Spawn([](Evented& own) {
          const SocketPair sockets;
          auto echo = Async(own, [&] {
            for (char byte = 0;
                 own.Perform(op::Recv{sockets.second.fd(), &byte, 1}) == 1;) {
              EXPECT_EQ(own.Perform(op::Send{sockets.second.fd(), &byte, 1}),
                        1);
            }
          });
          for (int i = 0; i < kBytes; ++i) {
            const char sent = static_cast<char>(i);
            char received = 0;
            EXPECT_EQ(own.Perform(op::Send{sockets.first.fd(), &sent, 1}), 1);
            EXPECT_EQ(own.Perform(op::Recv{sockets.first.fd(), &received, 1}),
                      1);
            EXPECT_EQ(received, sent);
          }
          EXPECT_EQ(shutdown(sockets.first.fd(), SHUT_WR), 0);
          echo.Await(own);
        });
      }
      EXPECT_TRUE(group.Await(io).ok());
    });
  }
}

// 'S' if the first worker sleeps; those that run, or could, are 'R'.
char StateOfFirstWorker() {
  for (const auto& thread :
       std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::ifstream(thread.path() / "comm") >> name;
    if (name != "weft-0") continue;
    std::ifstream status(thread.path() / "status");
    for (std::string word; status >> word;) {
      if (word != "State:") continue;
      char state = 0;
      status >> state;
      return state;
    }
  }
  return 0;
}

TEST_F(PerturbTest, WorkerSleepsWhenAllTasksWait) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const std::unique_ptr<Evented> io = Make(seed);
    Event<Evented> end;
    std::atomic<int> begun{0};
    std::thread waiter([&] {
      RunOnInstance(*io, [&](Evented& own) {
        TaskGroup<Evented> group(own);
        for (int i = 0; i < 20; ++i) {
          group.Spawn([&](Evented& task_io) {
            begun.fetch_add(1);
            return end.Wait(task_io);
          });
        }
        EXPECT_TRUE(group.Await(own).ok());
      });
    });
    while (begun.load() < 20) std::this_thread::yield();
    // A worker that looks for work again and again never does.
    while (StateOfFirstWorker() != 'S') std::this_thread::yield();
    RunOnInstance(*io, [&](Evented& own) { end.Set(own); });
    waiter.join();
  }
}

TEST_F(PerturbTest, OtherBackendsRefuseIt) {
  Options options;
  options.perturb_seed = 1;
  EXPECT_EQ(Threaded::Create(options).status(),
            absl::InvalidArgumentError("option perturb_seed: does not apply to "
                                       "the threaded backend"));
  EXPECT_EQ(Sim::Create(options).status(),
            absl::InvalidArgumentError(
                "option perturb_seed: does not apply to the sim backend"));
}

}  // namespace
}  // namespace weft
