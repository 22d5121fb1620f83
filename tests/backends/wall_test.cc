// What stands behind the compile-time wall: an Io that types let through to
// the wrong thread ends the program with a message that names the call, the
// backend and the thread.
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "weft/runtime/future.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/channel.h"
#include "weft/sync/condition.h"
#include "weft/sync/event.h"
#include "weft/sync/mutex.h"
#include "weft/sync/semaphore.h"
#include "weft/tests/conformance/backends.h"

namespace weft {
namespace {

using testing::EventedUring1;
using testing::MakeIo;
using testing::RunOnInstance;
using testing::ThreadedConfig;
using namespace std::chrono_literals;

class WallTest : public testing::ConformanceTest<ThreadedConfig> {
 protected:
  // A plain thread with a name to look for in the message.
  template <class Fn>
  static void OnPlainThread(Fn fn) {
    std::thread([&] {
      pthread_setname_np(pthread_self(), "bystander");
      fn();
    }).join();
  }
};
using WallDeathTest = WallTest;

constexpr char kOnPlainThread[] =
    " was called with an Evented on thread 'bystander', which is none of its "
    "workers.*docs/crossing.md";

TEST_F(WallDeathTest, EventedLockOnPlainThreadIsRefused) {
  EXPECT_DEATH(OnPlainThread([] {
                 const auto io = MakeIo<EventedUring1>();
                 Mutex<Evented> mutex;
                 mutex.Lock(*io);
               }),
               std::string("weft: misuse: Mutex::Lock") + kOnPlainThread);
}

TEST_F(WallDeathTest, EveryPrimitiveNamesItsCall) {
  const auto refuse = [](auto call) {
    OnPlainThread([&] {
      const auto io = MakeIo<EventedUring1>();
      call(*io);
    });
  };
  EXPECT_DEATH(refuse([](Evented& io) {
                 Event<Evented> event;
                 (void)event.Wait(io);
               }),
               std::string("weft: misuse: Event::Wait") + kOnPlainThread);
  EXPECT_DEATH(
      refuse([](Evented& io) {
        Semaphore<Evented> semaphore(1, 1);
        (void)semaphore.Acquire(io);
      }),
      std::string("weft: misuse: Semaphore::Acquire") + kOnPlainThread);
  EXPECT_DEATH(refuse([](Evented& io) {
                 Channel<int, Evented> channel(1);
                 (void)channel.Send(io, 1);
               }),
               std::string("weft: misuse: Channel::Send") + kOnPlainThread);
  EXPECT_DEATH(refuse([](Evented& io) {
                 Channel<int, Evented> channel(1);
                 (void)channel.Receive(io);
               }),
               std::string("weft: misuse: Channel::Receive") + kOnPlainThread);
  EXPECT_DEATH(refuse([](Evented& io) {
                 Mutex<Evented> mutex;
                 Condition<Evented> condition;
                 (void)condition.WaitFor(io, mutex, 1ms);
               }),
               std::string("weft: misuse: Condition::Wait") + kOnPlainThread);
  EXPECT_DEATH(refuse([](Evented& io) {
                 Mutex<Evented> mutex;
                 if (mutex.TryLock(io)) mutex.Unlock(io);
               }),
               std::string("weft: misuse: Mutex::TryLock") + kOnPlainThread);
}

TEST_F(WallDeathTest, EventedOperationOnPlainThreadIsRefused) {
  EXPECT_DEATH(OnPlainThread([] {
                 const auto io = MakeIo<EventedUring1>();
                 char byte = 0;
                 io->Perform(op::Recv{.fd = 0, .data = &byte, .size = 1});
               }),
               std::string("weft: misuse: recv") + kOnPlainThread);
}

TEST_F(WallDeathTest, EventedSleepOnPlainThreadIsRefused) {
  EXPECT_DEATH(OnPlainThread([] {
                 const auto io = MakeIo<EventedUring1>();
                 (void)Sleep(*io, 1ms);
               }),
               std::string("weft: misuse: Sleep") + kOnPlainThread);
}

TEST_F(WallDeathTest, EventedScopeOnPlainThreadIsRefused) {
  EXPECT_DEATH(OnPlainThread([] {
                 const auto io = MakeIo<EventedUring1>();
                 const Deadline deadline(*io, 1ms);
               }),
               std::string("weft: misuse: opening a scope") + kOnPlainThread);
}

TEST_F(WallDeathTest, EventedTaskGroupOnPlainThreadIsRefused) {
  EXPECT_DEATH(OnPlainThread([] {
                 const auto io = MakeIo<EventedUring1>();
                 TaskGroup<Evented> group(*io);
                 group.Spawn([] {});
               }),
               std::string("weft: misuse: TaskGroup::Spawn") + kOnPlainThread);
}

TEST_F(WallDeathTest, CapturedEventedOnThreadedTaskIsRefused) {
  EXPECT_DEATH(
      {
        const auto evented = MakeIo<EventedUring1>();
        const auto threaded = MakeIo<ThreadedConfig>();
        Mutex<Evented> mutex;
        RunOnInstance(*threaded, [&](Threaded& io) {
          Async(io, {.name = "intruder"}, [&] {
            mutex.Lock(*evented);
          }).Await(io);
        });
      },
      "weft: misuse: Mutex::Lock was called with an Evented on thread .*, "
      "which runs a task of the threaded backend.*docs/crossing.md.*"
      "in task 'intruder'");
}

TEST_F(WallDeathTest, CapturedThreadedOnEventedWorkerIsRefused) {
  const auto refuse = [](auto call) {
    const auto evented = MakeIo<EventedUring1>();
    const auto threaded = MakeIo<ThreadedConfig>();
    RunOnInstance(*evented, [&](Evented& io) {
      Async(io, {.name = "intruder"}, [&] { call(*threaded); }).Await(io);
    });
  };
  constexpr char kOnWorker[] =
      " was called with a Threaded on a worker thread of the evented "
      "backend.*in task 'intruder'";
  EXPECT_DEATH(refuse([](Threaded& io) {
                 Mutex<Threaded> mutex;
                 mutex.Lock(io);
               }),
               std::string("weft: misuse: Mutex::Lock") + kOnWorker);
  EXPECT_DEATH(refuse([](Threaded& io) {
                 char byte = 0;
                 io.Perform(op::Recv{.fd = 0, .data = &byte, .size = 1});
               }),
               std::string("weft: misuse: recv") + kOnWorker);
  EXPECT_DEATH(
      refuse([](Threaded& io) { (void)Sleep(io, 1ms); }),
      std::string("weft: misuse: Sleep|weft: misuse: FutexWait") + kOnWorker);
}

TEST_F(WallDeathTest, EventedOfAnotherInstanceIsRefused) {
  EXPECT_DEATH(
      {
        const auto own = MakeIo<EventedUring1>();
        const auto other = MakeIo<EventedUring1>();
        Mutex<Evented> mutex;
        RunOnInstance(*own, [&](Evented& io) {
          Async(io, {.name = "intruder"}, [&] {
            mutex.Lock(*other);
          }).Await(io);
        });
      },
      "weft: misuse: Mutex::Lock was called with an Evented on thread .*, a "
      "worker of another backend or instance.*in task 'intruder'");
}

TEST_F(WallDeathTest, RunOnWorkerIsRefused) {
  EXPECT_DEATH(
      {
        const auto io = MakeIo<EventedUring1>();
        RunOnInstance(*io, [&] { (void)io->Run([] {}); });
      },
      "weft: misuse: Evented::Run was called on worker thread");
}

TEST_F(WallTest, PlainThreadsMayUseThreaded) {
  const auto io = MakeIo<ThreadedConfig>();
  Mutex<Threaded> mutex;
  Event<Threaded> event;
  OnPlainThread([&] {
    const MutexLock lock(mutex, *io);
    event.Set(*io);
  });
  OnPlainThread([&] {
    const MutexLock lock(mutex, *io);
    EXPECT_TRUE(event.Wait(*io).ok());
  });
}

TEST_F(WallTest, ThreadedInstancesMayUseEachOther) {
  const auto own = MakeIo<ThreadedConfig>();
  const auto other = MakeIo<ThreadedConfig>();
  Mutex<Threaded> mutex;
  RunOnInstance(*own, [&](Threaded& io) {
    Async(io, [&] { const MutexLock lock(mutex, *other); }).Await(io);
  });
}

// A task of one backend wakes those of another through calls that do not park.
TEST_F(WallTest, CallsThatDoNotParkMayCross) {
  const auto evented = MakeIo<EventedUring1>();
  const auto threaded = MakeIo<ThreadedConfig>();
  Event<Evented> event;
  Semaphore<Evented> semaphore(0, 1);
  Channel<int, Evented> channel(1);
  std::thread waker([&] {
    RunOnInstance(*threaded, [&] {
      event.Set(*evented);
      semaphore.Release(*evented);
      EXPECT_TRUE(channel.TrySend(*evented, 5).ok());
    });
  });
  RunOnInstance(*evented, [&](Evented& io) {
    EXPECT_TRUE(event.Wait(io).ok());
    EXPECT_TRUE(semaphore.Acquire(io).ok());
    EXPECT_EQ(*channel.Receive(io), 5);
  });
  waker.join();
}

}  // namespace
}  // namespace weft
