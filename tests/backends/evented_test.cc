#include "weft/backends/evented/evented.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "weft/runtime/fiber/internal/sanitizer.h"
#include "weft/runtime/future.h"
#include "weft/runtime/internal/processors.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/event.h"
#include "weft/tests/conformance/backends.h"
#include "weft/tests/conformance/descriptors.h"

namespace weft {
namespace {

using namespace std::chrono_literals;
using testing::Descriptor;
using testing::Pipe;
using testing::ProcessCensus;
using testing::RunOnInstance;
using testing::SocketPair;
using testing::YieldUntil;

class EventedTest : public testing::ConformanceTest<testing::EventedUring2> {
 protected:
  EventedTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  static std::unique_ptr<Evented> Make(uint32_t workers,
                                       uint32_t ring_entries = 512) {
    Options options;
    options.workers = workers;
    options.ring_entries = ring_entries;
    return Evented::Create(options).value();
  }
};

std::string LineOf(const std::string& path) {
  std::string line;
  std::ifstream file(path);
  std::getline(file, line);
  return line;
}

// The threads of this process whose names begin with "weft-".
std::vector<std::string> WorkerThreads() {
  std::vector<std::string> threads;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/self/task")) {
    if (LineOf(entry.path() / "comm").starts_with("weft-")) {
      threads.push_back(entry.path());
    }
  }
  return threads;
}

TEST_F(EventedTest, WorkersAreAsManyAsTheProcessorsAllowed) {
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
  const auto io = Evented::Create().value();
  const auto count = static_cast<uint32_t>(CPU_COUNT(&allowed));
  EXPECT_EQ(io->Describe().workers,
            std::min(count, internal::ProcessorQuota().value_or(count)));
  std::thread([&] {
    int first = 0;
    while (!CPU_ISSET(first, &allowed)) ++first;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    EXPECT_EQ(Evented::Create().value()->Describe().workers, 1u);
  }).join();
}

TEST_F(EventedTest, WorkersAreThreadsWithNames) {
  const size_t before = ProcessCensus::Take().threads;
  const auto io = Make(3);
  // The workers and the watchdog.
  EXPECT_EQ(ProcessCensus::Take().threads, before + 4);
  std::set<std::string> names;
  for (const std::string& thread : WorkerThreads()) {
    names.insert(LineOf(thread + "/comm"));
  }
  EXPECT_EQ(names, (std::set<std::string>{"weft-0", "weft-1", "weft-2"}));
}

TEST_F(EventedTest, ManyTasksNeedNoFurtherThread) {
  const auto io = Make(2);
  const size_t before = ProcessCensus::Take().threads;
  RunOnInstance(*io, [&](Evented& own) {
    Event<Evented> gate;
    TaskGroup<Evented> group(own);
    for (int i = 0; i < 2000; ++i) {
      group.Spawn([&] { EXPECT_TRUE(gate.Wait(own).ok()); });
    }
    // The thread that called Run is there, too.
    EXPECT_LE(ProcessCensus::Take().threads, before + 1);
    gate.Set(own);
    EXPECT_TRUE(group.Await(own).ok());
  });
}

TEST_F(EventedTest, SeveralInstancesWorkAtOnce) {
  std::vector<std::unique_ptr<Evented>> instances;
  for (int i = 0; i < 5; ++i) instances.push_back(Make(2));
  std::vector<std::thread> threads;
  std::atomic<int> ran{0};
  for (const auto& io : instances) {
    threads.emplace_back([&] {
      EXPECT_TRUE(io->Run([&](Evented& own) {
                      TaskGroup<Evented> group(own);
                      for (int i = 0; i < 100; ++i) {
                        group.Spawn([&] {
                          EXPECT_TRUE(Sleep(own, 100us).ok());
                          ran.fetch_add(1);
                        });
                      }
                      return group.Await(own);
                    }).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ran.load(), 500);
}

TEST_F(EventedTest, RunMayBeCalledFromManyThreads) {
  const auto io = Make(2);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      for (int j = 0; j < 50; ++j) {
        EXPECT_EQ(io->Run([&](Evented& own) {
                      EXPECT_TRUE(Sleep(own, 10us).ok());
                      return i * 100 + j;
                    }).value(),
                  i * 100 + j);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(EventedTest, DestroyingOnAWorkerIsMisuse) {
  EXPECT_DEATH(
      {
        auto other = Make(1);
        const auto io = Make(1);
        RunOnInstance(*io, [&] { other = nullptr; });
      },
      "weft: misuse: ~Evented was called on worker thread 'weft-0'");
}

// What an idle worker has used so far.
struct Usage {
  static Usage Of(const std::string& thread) {
    Usage usage;
    std::ifstream(thread + "/schedstat") >> usage.nanoseconds;
    std::ifstream status(thread + "/status");
    for (std::string word; status >> word;) {
      if (word == "voluntary_ctxt_switches:") status >> usage.wakeups;
    }
    return usage;
  }

  int64_t nanoseconds = 0;
  int64_t wakeups = 0;
};

// U3
TEST_F(EventedTest, IdleWorkersUseNoTime) {
  if (internal::RunsOnValgrind()) {
    GTEST_SKIP() << "there, workers look for completions in a loop";
  }
  const auto io = Make(2);
  Pipe quiet;
  RunOnInstance(*io, [&](Evented& own) {
    // A burst, whose stacks are given back a while later.
    TaskGroup<Evented> group(own);
    for (int i = 0; i < 500; ++i) group.Spawn([](Evented& e) { e.Yield(); });
    EXPECT_TRUE(group.Await(own).ok());
  });
  std::thread waiter([&] {
    RunOnInstance(*io, [&](Evented& own) {
      char byte = 0;
      EXPECT_EQ(own.Perform(op::ReadAt{
                    .fd = quiet.read.fd(), .data = &byte, .size = 1}),
                0);
    });
  });
  // The time is what is measured here.
  std::this_thread::sleep_for(100ms);
  const std::vector<std::string> threads = WorkerThreads();
  ASSERT_EQ(threads.size(), 2u);
  const Usage before[2] = {Usage::Of(threads[0]), Usage::Of(threads[1])};
  std::this_thread::sleep_for(2s);
  for (size_t i = 0; i < 2; ++i) {
    const Usage after = Usage::Of(threads[i]);
    EXPECT_LE(after.wakeups - before[i].wakeups, 20);
    EXPECT_LE(after.nanoseconds - before[i].nanoseconds, 2'000'000);
  }
  quiet.write.Close();
  waiter.join();
}

// A worker that computes keeps its started fibers waiting, but not the tasks
// that have not started.
TEST_F(EventedTest, UnstartedTasksOfABusyWorkerRunElsewhere) {
  const auto io = Make(2);
  RunOnInstance(*io, [](Evented& own) {
    for (int round = 0; round < 20; ++round) {
      const pid_t here = gettid();
      std::atomic<int> ran{0};
      std::atomic<int> ran_here{0};
      TaskGroup<Evented> group(own);
      for (int i = 0; i < 20; ++i) {
        group.Spawn([&] {
          if (gettid() == here) ran_here.fetch_add(1);
          ran.fetch_add(1);
        });
      }
      // Without a Yield: all of them have to run on the other worker.
      while (ran < 20) {
      }
      EXPECT_EQ(ran_here.load(), 0);
      EXPECT_TRUE(group.Await(own).ok());
    }
  });
}

[[gnu::noinline]] const int* AddressOfErrno() { return &errno; }

// S1: the thread, and the addresses of what belongs to it, stay the same.
class Home {
 public:
  void Check() {
    EXPECT_EQ(gettid(), thread_);
    EXPECT_EQ(AddressOfErrno(), errno_);
  }

 private:
  const pid_t thread_ = gettid();
  const int* const errno_ = AddressOfErrno();
};

TEST_F(EventedTest, StartedFiberNeverChangesItsThread) {
  const auto io = Make(2);
  std::mutex mutex;
  std::set<pid_t> threads;
  RunOnInstance(*io, [&](Evented& own) {
    SocketPair pair;
    std::atomic<uint32_t> word{0};
    std::atomic<int> begun{0};
    TaskGroup<Evented> group(own);
    for (int i = 0; i < 64; ++i) {
      group.Spawn([&](Evented& mine) {
        Home home;
        begun.fetch_add(1);
        for (int round = 0; round < 30; ++round) {
          mine.Yield();
          home.Check();
          EXPECT_TRUE(Sleep(mine, 100us).ok());
          home.Check();
          // Woken by whoever comes by, on either worker.
          mine.FutexWake(word, 1);
          mine.FutexWait(word, 0, {.deadline = mine.Now() + 1ms});
          home.Check();
          char byte = 'x';
          EXPECT_EQ(mine.Perform(op::Send{
                        .fd = pair.first.fd(), .data = &byte, .size = 1}),
                    1);
          home.Check();
          EXPECT_EQ(mine.Perform(op::Recv{
                        .fd = pair.second.fd(), .data = &byte, .size = 1}),
                    1);
          home.Check();
          Async(mine, [&](Evented& inner) { inner.Yield(); }).Await(mine);
          home.Check();
        }
        const std::lock_guard lock(mutex);
        threads.insert(gettid());
      });
    }
    // Without a park: these run on the other worker.
    while (begun < 10) {
    }
    {
      const std::lock_guard lock(mutex);
      threads.insert(gettid());
    }
    Home home;
    EXPECT_TRUE(group.Await(own).ok());
    home.Check();
  });
  // Both workers took part.
  EXPECT_EQ(threads.size(), 2u);
}

TEST_F(EventedTest, YieldLetsTheOthersRunInTurn) {
  const auto io = Make(1);
  RunOnInstance(*io, [](Evented& own) {
    std::string order;
    TaskGroup<Evented> group(own);
    for (const char name : {'a', 'b', 'c'}) {
      group.Spawn([&order, name](Evented& mine) {
        for (int i = 0; i < 300; ++i) {
          order += name;
          mine.Yield();
        }
      });
    }
    EXPECT_TRUE(group.Await(own).ok());
    std::string expected;
    for (int i = 0; i < 300; ++i) expected += "abc";
    EXPECT_EQ(order, expected);
  });
}

// U22: counts how often the fiber that always yields comes by, since time says
// more of the machine than of the run queue.
TEST_F(EventedTest, FiberThatAlwaysYieldsStarvesNeitherTimersNorDescriptors) {
  static constexpr int kRounds = 200;
  const auto io = Make(1);
  RunOnInstance(*io, [](Evented& own) {
    std::atomic<bool> done{false};
    int64_t yields = 0;
    auto busy = Async(own, [&] {
      for (; !done; ++yields) own.Yield();
    });
    Pipe pipe;
    auto writer = Async(own, [&] {
      for (int i = 0; i < kRounds; ++i) {
        EXPECT_EQ(own.Perform(op::WriteAt{
                      .fd = pipe.write.fd(), .data = "x", .size = 1}),
                  1);
      }
    });
    for (int i = 0; i < kRounds; ++i) {
      char byte = 0;
      EXPECT_EQ(own.Perform(
                    op::ReadAt{.fd = pipe.read.fd(), .data = &byte, .size = 1}),
                1);
    }
    writer.Await(own);
    // A few turns of the loop for each byte.
    EXPECT_LT(yields, kRounds * 1000);
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(Sleep(own, 1ms).ok());
    done = true;
    busy.Await(own);
  });
}

// A health check beside many busy fibers is served once in each of their
// rounds.
TEST_F(EventedTest, ManyBusyFibersLeaveRoomForOne) {
  static constexpr int kBusy = 1000;
  const auto io = Make(1);
  RunOnInstance(*io, [](Evented& own) {
    std::atomic<bool> done{false};
    int64_t yields = 0;
    TaskGroup<Evented> group(own);
    for (int i = 0; i < kBusy; ++i) {
      group.Spawn([&] {
        for (; !done; ++yields) own.Yield();
      });
    }
    own.Yield();
    SocketPair pair;
    int64_t worst = 0;
    for (int i = 0; i < 20; ++i) {
      const int64_t before = yields;
      char byte = 'x';
      EXPECT_EQ(own.Perform(
                    op::Send{.fd = pair.first.fd(), .data = &byte, .size = 1}),
                1);
      EXPECT_EQ(own.Perform(
                    op::Recv{.fd = pair.second.fd(), .data = &byte, .size = 1}),
                1);
      worst = std::max(worst, yields - before);
    }
    EXPECT_LE(worst, 4 * kBusy);
    done = true;
    EXPECT_TRUE(group.Await(own).ok());
  });
}

// U15, U16: many more operations than the queues hold.
TEST_F(EventedTest, SmallRingLosesNoOperation) {
  static constexpr int kOperations = 400;
  const auto io = Make(1, /*ring_entries=*/8);
  RunOnInstance(*io, [](Evented& own) {
    for (int round = 0; round < 3; ++round) {
      Pipe pipe;
      int waiting = 0;
      int polled = 0;
      TaskGroup<Evented> group(own);
      for (int i = 0; i < kOperations; ++i) {
        group.Spawn([&] {
          ++waiting;
          EXPECT_EQ(
              own.Perform(op::Poll{.fd = pipe.read.fd(), .events = POLLIN}),
              POLLIN);
          ++polled;
        });
      }
      YieldUntil(own, [&] { return waiting == kOperations; });
      EXPECT_EQ(polled, 0);
      // Completes them all at once.
      EXPECT_EQ(own.Perform(
                    op::WriteAt{.fd = pipe.write.fd(), .data = "x", .size = 1}),
                1);
      EXPECT_TRUE(group.Await(own).ok());
      EXPECT_EQ(polled, kOperations);
    }
  });
}

TEST_F(EventedTest, SmallRingLosesNoCancel) {
  static constexpr int kOperations = 400;
  const auto io = Make(2, /*ring_entries=*/8);
  RunOnInstance(*io, [](Evented& own) {
    Pipe pipe;
    for (int round = 0; round < 3; ++round) {
      std::atomic<int> waiting{0};
      std::atomic<int> cancelled{0};
      TaskGroup<Evented> group(own);
      for (int i = 0; i < kOperations; ++i) {
        group.Spawn([&](Evented& mine) {
          waiting.fetch_add(1);
          char byte = 0;
          if (mine.Perform(
                  op::ReadAt{.fd = pipe.read.fd(), .data = &byte, .size = 1}) ==
              -ECANCELED) {
            cancelled.fetch_add(1);
          }
        });
      }
      YieldUntil(own, [&] { return waiting == kOperations; });
      group.Cancel();
      EXPECT_TRUE(group.Await(own).ok());
      EXPECT_EQ(cancelled.load(), kOperations);
    }
  });
}

TEST_F(EventedTest, SmallRingMeetsDeadlinesOfManyOperations) {
  static constexpr int kOperations = 300;
  const auto io = Make(1, /*ring_entries=*/8);
  RunOnInstance(*io, [](Evented& own) {
    Pipe pipe;
    int timed_out = 0;
    TaskGroup<Evented> group(own);
    for (int i = 0; i < kOperations; ++i) {
      group.Spawn([&] {
        const Deadline deadline(own, 5ms);
        if (own.Perform(op::Poll{.fd = pipe.read.fd(), .events = POLLIN}) ==
            -ETIME) {
          ++timed_out;
        }
      });
    }
    EXPECT_TRUE(group.Await(own).ok());
    EXPECT_EQ(timed_out, kOperations);
  });
}

// U19, S8: wakes cross from worker to worker without pause. Two instances, so
// that the two sides are on different workers for sure.
TEST_F(EventedTest, NoWakeIsLostBetweenTwoWorkers) {
  static constexpr int kPairs = 8;
  static constexpr uint32_t kRounds = 3000;
  std::vector<std::atomic<uint32_t>> turns(kPairs);
  const std::unique_ptr<Evented> sides[2] = {Make(1), Make(1)};
  std::vector<std::thread> threads;
  for (const uint32_t side : {0u, 1u}) {
    threads.emplace_back([&, side] {
      RunOnInstance(*sides[side], [&](Evented& own) {
        TaskGroup<Evented> group(own);
        for (std::atomic<uint32_t>& turn : turns) {
          group.Spawn([&own, &turn, side] {
            for (uint32_t next = side; next < kRounds; next += 2) {
              for (uint32_t now = turn; now != next; now = turn) {
                own.FutexWait(turn, now, {});
              }
              turn = next + 1;
              own.FutexWake(turn, 1);
            }
          });
        }
        EXPECT_TRUE(group.Await(own).ok());
      });
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::atomic<uint32_t>& turn : turns) EXPECT_EQ(turn, kRounds);
}

// The instance that was woken may be gone before the waker of another instance
// has returned from its call.
TEST_F(EventedTest, WokenInstanceMayEndAtOnce) {
  const auto waker_io = Make(1);
  for (int round = 0; round < 200; ++round) {
    std::atomic<uint32_t> word{0};
    std::thread waiter([&] {
      const auto io = Make(1);
      RunOnInstance(*io, [&](Evented& own) {
        while (word == 0) own.FutexWait(word, 0, {});
      });
    });
    RunOnInstance(*waker_io, [&](Evented& own) {
      if (round % 2 == 0) Async(own, [&] { own.Yield(); }).Await(own);
      word = 1;
      own.FutexWake(word, 1);
    });
    waiter.join();
  }
}

// Runs a program and waits for its end.
int RunProgram() {
  const char* const arguments[] = {"/bin/true", nullptr};
  const pid_t child = fork();
  if (child == 0) {
    execv(arguments[0], const_cast<char* const*>(arguments));
    _exit(127);
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return status;
}

TEST_F(EventedTest, ForkAndExecLeaveOperationsInFlightAlone) {
  const auto io = Make(2);
  RunOnInstance(*io, [](Evented& own) {
    for (int round = 0; round < 10; ++round) {
      Pipe pipe;
      SocketPair pair;
      auto reader = Async(own, [&] {
        char byte = 0;
        EXPECT_EQ(own.Perform(op::ReadAt{
                      .fd = pipe.read.fd(), .data = &byte, .size = 1}),
                  1);
        return byte;
      });
      auto receiver = Async(own, [&] {
        char byte = 0;
        return own.Perform(
            op::Recv{.fd = pair.first.fd(), .data = &byte, .size = 1});
      });
      own.Yield();
      EXPECT_EQ(RunProgram(), 0);
      EXPECT_FALSE(reader.ready());
      EXPECT_FALSE(receiver.ready());
      EXPECT_EQ(own.Perform(
                    op::WriteAt{.fd = pipe.write.fd(), .data = "y", .size = 1}),
                1);
      EXPECT_EQ(reader.Await(own), 'y');
      receiver.Cancel();
      EXPECT_EQ(receiver.Await(own), -ECANCELED);
    }
  });
}

}  // namespace
}  // namespace weft
