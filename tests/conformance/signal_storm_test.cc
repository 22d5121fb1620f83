// U24: signals that hit every thread a thousand times a second change nothing
// but the time that things take, on every backend.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "weft/runtime/future.h"
#include "weft/runtime/io.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/mutex.h"
#include "weft/tests/conformance/backends.h"
#include "weft/tests/conformance/descriptors.h"

namespace weft {
namespace {

using namespace std::chrono_literals;
using testing::Descriptor;
using testing::Listener;
using testing::Pipe;
using testing::RunOn;
using testing::SocketPair;
using testing::TcpSocket;

std::atomic<uint64_t> handled{0};

void Count(int) { handled.fetch_add(1, std::memory_order_relaxed); }

// Sends a signal to every other thread each millisecond while it exists. The
// handler does not ask for system calls to be restarted.
class Storm {
 public:
  Storm() {
    Handle(Count);
    thread_ = std::thread([this] { Rage(); });
  }
  ~Storm() {
    over_ = true;
    thread_.join();
    // Discards those that are still on their way.
    Handle(SIG_IGN);
    Handle(SIG_DFL);
  }

 private:
  static void Handle(void (*handler)(int)) {
    struct sigaction action = {};
    action.sa_handler = handler;
    EXPECT_EQ(sigaction(SIGUSR1, &action, nullptr), 0);
  }

  void Rage() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    while (!over_) {
      for (const auto& entry :
           std::filesystem::directory_iterator("/proc/self/task")) {
        const pid_t thread = std::atoi(entry.path().filename().c_str());
        if (thread != gettid()) {
          syscall(SYS_tgkill, getpid(), thread, SIGUSR1);
        }
      }
      std::this_thread::sleep_for(1ms);
    }
  }

  std::atomic<bool> over_{false};
  std::thread thread_;
};

template <class Config>
class SignalStormTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(SignalStormTest, testing::KernelBackends,
                 testing::BackendNames);

// Sends numbers through `to` and expects them from `from`.
void Exchange(Io& io, const Descriptor& to, const Descriptor& from,
              const std::atomic<bool>& over) {
  for (uint32_t i = 0; !over; ++i) {
    ASSERT_EQ(
        io.Perform(op::WriteAt{.fd = to.fd(), .data = &i, .size = sizeof(i)}),
        int64_t{sizeof(i)});
    uint32_t received = 0;
    ASSERT_EQ(
        io.Perform(op::ReadAt{
            .fd = from.fd(), .data = &received, .size = sizeof(received)}),
        int64_t{sizeof(received)});
    ASSERT_EQ(received, i);
  }
}

TYPED_TEST(SignalStormTest, NothingFailsAndEverythingGoesOn) {
  using B = typename TypeParam::Io;
  const uint64_t handled_before = handled;
  RunOn<TypeParam>([&](B& io) {
    const Storm storm;
    std::atomic<bool> over{false};
    TaskGroup<B> group(io);
    Pipe pipe;
    SocketPair pair;
    const Listener listener;
    Mutex<B> mutex;
    std::atomic<int> connections{0};
    std::atomic<int> sleeps{0};
    std::atomic<uint64_t> locked{0};
    group.Spawn([&](B& own) { Exchange(own, pipe.write, pipe.read, over); });
    group.Spawn([&](B& own) { Exchange(own, pair.first, pair.second, over); });
    group.Spawn([&](B& own) {
      while (!over) {
        const Descriptor client = TcpSocket();
        ASSERT_EQ(own.Perform(listener.ConnectFrom(client)), 0);
        const Descriptor server(
            static_cast<int>(own.Perform(op::Accept{.fd = listener.fd()})));
        ASSERT_GE(server.fd(), 0);
        connections.fetch_add(1);
      }
    });
    // Sleeps are not cut short.
    group.Spawn([&](B& own) {
      while (!over) {
        const MonotonicTime until = own.Now() + 5ms;
        ASSERT_TRUE(own.SleepUntil(until).ok());
        ASSERT_GE(own.Now(), until);
        sleeps.fetch_add(1);
      }
    });
    // Neither are waits that time out.
    group.Spawn([&](B& own) {
      const Pipe quiet;
      while (!over) {
        const Deadline deadline(own, 5ms);
        ASSERT_EQ(
            own.Perform(op::Poll{.fd = quiet.read.fd(), .events = POLLIN}),
            -ETIME);
        ASSERT_TRUE(deadline.fired());
      }
    });
    for (int i = 0; i < 3; ++i) {
      group.Spawn([&](B& own) {
        while (!over) {
          const MutexLock lock(mutex, own);
          ++locked;
          own.Yield();
        }
      });
    }
    // Until each of them has got on in it, however slow the machine is.
    const MonotonicTime end = io.Now() + 500ms;
    while (io.Now() < end || handled - handled_before < 100 ||
           connections == 0 || sleeps == 0 || locked == 0) {
      EXPECT_TRUE(Sleep(io, 1ms).ok());
    }
    over = true;
    EXPECT_TRUE(group.Await(io).ok());
  });
}

TYPED_TEST(SignalStormTest, CancelsArriveInAStorm) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    const Storm storm;
    const Pipe quiet;
    for (const MonotonicTime end = io.Now() + 200ms; io.Now() < end;) {
      TaskGroup<B> group(io);
      std::atomic<int> cancelled{0};
      group.Spawn([&](B& own) {
        char byte = 0;
        if (own.Perform(
                op::ReadAt{.fd = quiet.read.fd(), .data = &byte, .size = 1}) ==
            -ECANCELED) {
          cancelled.fetch_add(1);
        }
      });
      group.Spawn([&](B& own) {
        if (absl::IsCancelled(Sleep(own, 1h))) cancelled.fetch_add(1);
      });
      io.Yield();
      group.Cancel();
      ASSERT_TRUE(group.Await(io).ok());
      ASSERT_EQ(cancelled.load(), 2);
    }
  });
}

}  // namespace
}  // namespace weft
