#include "weft/backends/threaded/threaded.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include <atomic>
#include <cerrno>
#include <cfenv>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "weft/runtime/future.h"
#include "weft/runtime/internal/task_record.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/event.h"
#include "weft/sync/mutex.h"
#include "weft/tests/conformance/backends.h"
#include "weft/tests/conformance/descriptors.h"
#include "weft/tests/conformance/limits.h"
#include "weft/tests/conformance/wait_watch.h"

namespace weft {
namespace {

using namespace std::chrono_literals;
using testing::Forbid;
using testing::InChild;
using testing::Pipe;
using testing::ProcessCensus;
using testing::WaitWatch;
using testing::YieldUntil;

class ThreadedTest : public testing::ConformanceTest<testing::ThreadedConfig> {
 protected:
  static std::unique_ptr<Threaded> Make(const Options& options = {}) {
    return Threaded::Create(options).value();
  }
};

std::string NameOf(pid_t thread) {
  std::string name;
  std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/comm");
  std::getline(file, name);
  return name;
}

// Waits until the thread that ran a task sits idle.
void AwaitIdle(Io& io, pid_t thread) {
  YieldUntil(io, [&] { return NameOf(thread) == "weft idle"; });
  WaitWatch watch;
  watch.BeginOn(thread);
  watch.AwaitParked(io);
}

#if defined(__x86_64__)
uint16_t X87Control() {
  uint16_t word;
  asm volatile("fnstcw %0" : "=m"(word));
  return word;
}

TEST_F(ThreadedTest, NextTaskOfAThreadHasTheDefaultFloatingPointEnvironment) {
  const auto io = Make();
  testing::RunOnInstance(*io, [](Threaded& own) {
    pid_t thread = 0;
    for (void (*change)() :
         {+[] { std::fesetround(FE_UPWARD); },
          +[] { std::feraiseexcept(FE_DIVBYZERO); },
          +[] { _mm_setcsr(_mm_getcsr() | 0x8000); },
          +[] {
            const uint16_t single_precision = 0x7f;
            asm volatile("fldcw %0" : : "m"(single_precision));
          }}) {
      Async(own, [&] {
        thread = gettid();
        change();
      }).Await(own);
      AwaitIdle(own, thread);
      Async(own, [&] {
        EXPECT_EQ(gettid(), thread);
        EXPECT_EQ(_mm_getcsr(), 0x1f80u);
        EXPECT_EQ(X87Control(), 0x37f);
        EXPECT_EQ(std::fetestexcept(FE_ALL_EXCEPT), 0);
      }).Await(own);
      AwaitIdle(own, thread);
    }
  });
}
#endif

// Ends the process when its thread does, after what was made on it later.
struct EndsTheProcess {
  ~EndsTheProcess() {
    if (armed) _exit(0);
  }
  bool armed = false;
};

// A lock of weft's that is held while the process forks is so for ever in the
// child.
TEST_F(ThreadedTest, S16ChildOfAThreadThatUsedItExitsThoughALockIsHeld) {
  const auto io = Make();
  std::thread([&io] {
    static thread_local EndsTheProcess end;
    end.armed = false;
    Mutex<Threaded> mutex;
    { MutexLock lock(mutex, *io); }
    const uint64_t task = io->CurrentTask("test").id();
    std::latch held(1);
    std::latch forked(1);
    std::thread holder([&] {
      internal::TaskRegistry::ForEach([&](const internal::TaskRecord& record) {
        if (record.id != task) return;
        held.count_down();
        forked.wait();
      });
    });
    held.wait();
    const pid_t child = fork();
    if (child == 0) {
      alarm(60);
      end.armed = true;
      exit(1);
    }
    forked.count_down();
    holder.join();
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }).join();
}

TEST_F(ThreadedTest, TaskHasAThreadOfItsOwn) {
  const auto io = Make();
  EXPECT_EQ(io->threads(), 0u);
  Event<Threaded> gate;
  auto task = Async(*io, [&] {
    EXPECT_TRUE(gate.Wait(*io).ok());
    return gettid();
  });
  EXPECT_EQ(io->threads(), 1u);
  gate.Set(*io);
  EXPECT_NE(task.Await(*io), gettid());
}

TEST_F(ThreadedTest, ThreadsAreAsManyAsTasksThatRunAtOnce) {
  const auto io = Make();
  Event<Threaded> gate;
  std::vector<Future<void, Threaded>> tasks;
  for (uint32_t i = 1; i <= 20; ++i) {
    tasks.push_back(Async(*io, [&] { EXPECT_TRUE(gate.Wait(*io).ok()); }));
    EXPECT_EQ(io->threads(), i);
  }
  gate.Set(*io);
  for (auto& task : tasks) task.Await(*io);
}

TEST_F(ThreadedTest, IdleThreadIsUsedAgain) {
  const auto io = Make();
  const auto thread = [] { return gettid(); };
  const pid_t first = Async(*io, thread).Await(*io);
  for (int i = 0; i < 20; ++i) {
    AwaitIdle(*io, first);
    EXPECT_EQ(Async(*io, thread).Await(*io), first);
  }
  EXPECT_EQ(io->threads(), 1u);
}

TEST_F(ThreadedTest, ThreadThatWasIdleLastIsUsedFirst) {
  const auto io = Make();
  Event<Threaded> gates[2];
  std::vector<Future<pid_t, Threaded>> tasks;
  for (Event<Threaded>& gate : gates) {
    tasks.push_back(Async(*io, [&] {
      EXPECT_TRUE(gate.Wait(*io).ok());
      return gettid();
    }));
  }
  gates[0].Set(*io);
  AwaitIdle(*io, tasks[0].Await(*io));
  gates[1].Set(*io);
  const pid_t last = tasks[1].Await(*io);
  AwaitIdle(*io, last);
  EXPECT_EQ(Async(*io, [] { return gettid(); }).Await(*io), last);
}

TEST_F(ThreadedTest, IdleThreadEndsAfterItsTimeout) {
  Options options;
  options.idle_thread_timeout = 20ms;
  const auto io = Make(options);
  const size_t before = ProcessCensus::Take().threads;
  TaskGroup<Threaded> group(*io);
  for (int i = 0; i < 10; ++i) group.Spawn([] {});
  EXPECT_TRUE(group.Await(*io).ok());
  const MonotonicTime ended = io->Now();
  YieldUntil(*io, [&] { return io->threads() == 0; });
  EXPECT_GE(io->Now() - ended, 15ms);
  // Ended ones are joined when the next one is started.
  Async(*io, [] {}).Await(*io);
  YieldUntil(*io, [&] { return ProcessCensus::Take().threads <= before + 1; });
}

TEST_F(ThreadedTest, TimeoutOfZeroKeepsNoThread) {
  Options options;
  options.idle_thread_timeout = Duration(0);
  const auto io = Make(options);
  for (int i = 0; i < 50; ++i) {
    Async(*io, [] {}).Await(*io);
    YieldUntil(*io, [&] { return io->threads() == 0; });
  }
}

TEST_F(ThreadedTest, BusyThreadDoesNotEnd) {
  Options options;
  options.idle_thread_timeout = 1ms;
  const auto io = Make(options);
  Event<Threaded> gate;
  auto task = Async(*io, [&] { EXPECT_TRUE(gate.Wait(*io).ok()); });
  EXPECT_TRUE(Sleep(*io, 20ms).ok());
  EXPECT_EQ(io->threads(), 1u);
  gate.Set(*io);
}

TEST_F(ThreadedTest, ThreadHasTheNameOfItsTask) {
  const auto io = Make();
  const auto name = [] { return NameOf(gettid()); };
  EXPECT_EQ(Async(*io, {.name = "reader"}, name).Await(*io), "reader");
  EXPECT_EQ(Async(*io, {.name = "a name that is too long"}, name).Await(*io),
            "a name that is ");
  const std::string own = name();
  EXPECT_TRUE(io->Run([](Threaded&) {}).ok());
  EXPECT_EQ(name(), own);
}

TEST_F(ThreadedTest, StackHasTheSizeGiven) {
  Options options;
  options.stack_size = size_t{24} << 20;
  const auto io = Make(options);
  const auto stack_size = [] {
    pthread_attr_t attributes;
    EXPECT_EQ(pthread_getattr_np(pthread_self(), &attributes), 0);
    size_t size = 0;
    pthread_attr_getstacksize(&attributes, &size);
    pthread_attr_destroy(&attributes);
    return size;
  };
  // Larger than any the C library may have kept.
  EXPECT_EQ(Async(*io, stack_size).Await(*io), size_t{24} << 20);
}

TEST_F(ThreadedTest, HostThreadsAreTasksWithoutAParent) {
  const auto io = Make();
  std::atomic<uint64_t> other{0};
  Event<Threaded> event;
  std::thread thread([&] {
    const Task& task = io->CurrentTask("test");
    EXPECT_EQ(&task, &io->CurrentTask("test"));
    EXPECT_EQ(task.name(), "host thread");
    other = task.id();
    event.Set(*io);
  });
  EXPECT_TRUE(event.Wait(*io).ok());
  EXPECT_NE(io->CurrentTask("test").id(), other);
  thread.join();
}

TEST_F(ThreadedTest, RunRunsOnTheCallingThread) {
  const auto io = Make();
  EXPECT_EQ(io->Run([] { return gettid(); }).value(), gettid());
  EXPECT_EQ(io->threads(), 0u);
}

TEST_F(ThreadedTest, RunMayBeCalledFromManyThreads) {
  const auto io = Make();
  Mutex<Threaded> mutex;
  int sum = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 50; ++j) {
        EXPECT_TRUE(io->Run([&](Threaded& own) {
                        Async(own, [&] {
                          const MutexLock lock(mutex, own);
                          ++sum;
                        }).Await(own);
                      }).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(sum, 400);
}

// A thread of the host program may use one instance after another, though
// what it is to the library was made with the first.
TEST_F(ThreadedTest, HostThreadMayUseInstanceAfterInstance) {
  for (int i = 0; i < 10; ++i) {
    const auto io = Make();
    const Deadline deadline(*io, 1h);
    EXPECT_TRUE(Sleep(*io, 1ms).ok());
    CancelScope scope(*io);
    auto canceller = Async(*io, [&] { scope.Cancel(); });
    EXPECT_EQ(Sleep(*io, 1h).code(), absl::StatusCode::kCancelled);
    const Shield shield(*io);
    canceller.Await(*io);
  }
}

TEST_F(ThreadedTest, HostThreadMayUseSeveralInstancesAtOnce) {
  const auto first = Make();
  auto second = Make();
  for (int i = 0; i < 10; ++i) {
    {
      auto from_first = Async(*first, [] { return 1; });
      auto from_second = Async(*second, [] { return 2; });
      const Deadline deadline(i % 2 == 0 ? *first : *second, 1h);
      EXPECT_TRUE(Sleep(*first, 100us).ok());
      EXPECT_TRUE(Sleep(*second, 100us).ok());
      EXPECT_EQ(from_first.Await(*first) + from_second.Await(*second), 3);
    }
    second = Make();
  }
}

TEST_F(ThreadedTest, DestructorWaitsForIdleThreads) {
  const size_t before = ProcessCensus::Take().threads;
  {
    Options options;
    options.idle_thread_timeout = 1h;
    const auto io = Make(options);
    TaskGroup<Threaded> group(*io);
    for (int i = 0; i < 20; ++i) group.Spawn([] {});
    EXPECT_TRUE(group.Await(*io).ok());
  }
  while (ProcessCensus::Take().threads > before) std::this_thread::yield();
}

// A thread that has ended leaves no descriptor behind for the waits it did.
TEST_F(ThreadedTest, ThreadsThatWaitedForDescriptorsLeaveNone) {
  const auto io = Make();
  const Pipe pipe;
  std::thread([&] {
    TaskGroup<Threaded> group(*io);
    for (int i = 0; i < 10; ++i) {
      group.Spawn([&] {
        const Deadline deadline(*io, 1ms);
        char byte = 0;
        EXPECT_EQ(io->Perform(op::ReadAt{
                      .fd = pipe.read.fd(), .data = &byte, .size = 1}),
                  -ETIME);
      });
    }
    EXPECT_TRUE(group.Await(*io).ok());
  }).join();
}

// Without a descriptor to be woken by, cancels and deadlines still arrive.
TEST_F(ThreadedTest, CancelArrivesThoughNoDescriptorIsLeft) {
  EXPECT_EXIT(InChild([] {
                const auto io = Make();
                const Pipe pipe;
                Forbid(SYS_eventfd2, EMFILE);
                WaitWatch watch;
                const auto read = [&](Io& own) {
                  char byte = 0;
                  watch.Begin();
                  return own.Perform(op::ReadAt{
                      .fd = pipe.read.fd(), .data = &byte, .size = 1});
                };
                auto task = Async(*io, [&] { return read(*io); });
                watch.AwaitParked(*io);
                task.Cancel();
                EXPECT_EQ(task.Await(*io), -ECANCELED);
                const Deadline deadline(*io, 5ms);
                EXPECT_EQ(read(*io), -ETIME);
              }),
              ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace weft
