// Pitfalls X3 to X6 and X8, on every backend: what broke services that mix
// threads and fibers. X7 is in the tests of TCP streams.
#include <gtest/gtest.h>
#include <pthread.h>
#include <time.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "weft/net/tcp_listener.h"
#include "weft/net/tcp_stream.h"
#include "weft/runtime/future.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/channel.h"
#include "weft/sync/event.h"
#include "weft/tests/conformance/backends.h"
#include "weft/tests/conformance/tcp_support.h"
#include "weft/tests/conformance/waits.h"

namespace weft {
namespace {

using namespace std::chrono_literals;
using net::TcpListener;
using net::TcpStream;
using testing::Listen;
using testing::MakeIo;
using testing::RunOn;
using testing::RunOnInstance;
using testing::TaskWaits;
using testing::Wait;
using testing::YieldUntil;

template <class Config>
class PitfallX : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(PitfallX, testing::Backends, testing::BackendNames);

// What needs the kernel or threads of the host program.
template <class Config>
using PitfallXKernel = PitfallX<Config>;
TYPED_TEST_SUITE(PitfallXKernel, testing::KernelBackends,
                 testing::BackendNames);

// --- X3: an event is reset while tasks wait for it --------------------------

TYPED_TEST(PitfallX, X3ResetUnderSixteenWaitersIsHarmless) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    constexpr size_t kWaiters = 16;
    Event<B> event;
    std::atomic<int> released = 0;
    TaskGroup<B> group(io);
    for (size_t i = 0; i < kWaiters; ++i) {
      group.Spawn([&](B& own) {
        EXPECT_TRUE(event.Wait(own).ok());
        ++released;
      });
    }
    YieldUntil(io, [&] { return event.waiters() == kWaiters; });
    event.Reset();
    for (int i = 0; i < 10; ++i) io.Yield();
    EXPECT_EQ(released, 0);
    EXPECT_EQ(event.waiters(), kWaiters);
    // All that wait now are let go, though it is reset before they run.
    event.Set(io);
    event.Reset();
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_EQ(released, 16);
    EXPECT_FALSE(event.IsSet());
    EXPECT_TRUE(absl::IsDeadlineExceeded(event.WaitFor(io, 0ns)));
  });
}

// --- X4: waiting for a thread takes no time of the processor ----------------

Duration TimeOf(clockid_t clock) {
  timespec time = {};
  EXPECT_EQ(clock_gettime(clock, &time), 0);
  return std::chrono::seconds(time.tv_sec) +
         std::chrono::nanoseconds(time.tv_nsec);
}

TYPED_TEST(PitfallXKernel, X4TaskThatWaitsForAThreadParks) {
  using B = typename TypeParam::Io;
  const std::unique_ptr<B> io = MakeIo<TypeParam>();
  Event<B> flag;
  std::atomic<clockid_t> clock_of_waiter{0};
  std::thread setter([&] {
    while (flag.waiters() == 0) std::this_thread::yield();
    // The time that this thread works is the measure: a waiter that spins gets
    // about as much.
    constexpr Duration kWork = 100ms;
    const Duration before = TimeOf(clock_of_waiter);
    const Duration begin = TimeOf(CLOCK_THREAD_CPUTIME_ID);
    while (TimeOf(CLOCK_THREAD_CPUTIME_ID) - begin < kWork) {
    }
    EXPECT_LT(TimeOf(clock_of_waiter) - before, kWork / 10);
    flag.Set(*io);
  });
  RunOnInstance(*io, [&](B& own) {
    clockid_t clock;
    ASSERT_EQ(pthread_getcpuclockid(pthread_self(), &clock), 0);
    clock_of_waiter = clock;
    EXPECT_TRUE(flag.Wait(own).ok());
  });
  setter.join();
}

// --- X5: a full queue holds up its senders and nobody else ------------------

TYPED_TEST(PitfallX, X5FullQueueIsBoundedAndStallsNobodyElse) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    constexpr size_t kCapacity = 4;
    constexpr size_t kSenders = 40;
    Channel<size_t, B> full(kCapacity);
    TaskGroup<B> senders(io);
    for (size_t i = 0; i < kSenders; ++i) {
      senders.Spawn([&, i](B& own) { return full.Send(own, size_t{i}); });
    }
    YieldUntil(io, [&] {
      return full.size() == kCapacity &&
             full.waiting_senders() == kSenders - kCapacity;
    });
    // Others pass a queue of their own meanwhile.
    Channel<int, B> open(1);
    auto echo = Async(io, [&](B& own) {
      for (int i = 0; i < 1000; ++i) {
        EXPECT_TRUE(open.Send(own, int{i}).ok());
      }
    });
    for (int i = 0; i < 1000; ++i) EXPECT_EQ(open.Receive(io).value(), i);
    echo.Await(io);
    EXPECT_EQ(full.size(), kCapacity);
    EXPECT_EQ(full.waiting_senders(), kSenders - kCapacity);
    size_t sum = 0;
    for (size_t i = 0; i < kSenders; ++i) sum += full.Receive(io).value();
    EXPECT_EQ(sum, kSenders * (kSenders - 1) / 2);
    EXPECT_TRUE(senders.Await(io).ok());
    EXPECT_EQ(full.peak_size(), kCapacity);
  });
}

// --- X6: a cancel that is swallowed lets no task outlive what it uses -------

TYPED_TEST(PitfallX, X6TaskThatSwallowsItsCancelEndsBeforeWhatItUses) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    TaskWaits<B> waits(io);
    for (const Wait<B>& wait : waits.All()) {
      SCOPED_TRACE(wait.name);
      std::atomic<bool> ended{false};
      {
        auto used = std::make_unique<std::atomic<int>>(0);
        TaskGroup<B> group(io);
        group.Spawn([&](B& own) {
          // It goes on as if nothing had happened, for a while.
          while (used->load() < 20) {
            EXPECT_TRUE(absl::IsCancelled(wait.call(own)));
            used->fetch_add(1);
          }
          ended = true;
        });
        io.Yield();
      }
      EXPECT_TRUE(ended);
    }
  });
}

// --- X8: thousands of connects at once stay within their bound --------------

// Counts, on the side that accepts, how many clients are there.
class Door {
 public:
  void Enter() {
    const uint32_t now = inside_.fetch_add(1) + 1;
    uint32_t most = most_.load();
    while (most < now && !most_.compare_exchange_weak(most, now)) {
    }
  }
  void Leave() { inside_.fetch_sub(1); }
  uint32_t most() const { return most_.load(); }

 private:
  std::atomic<uint32_t> inside_{0};
  std::atomic<uint32_t> most_{0};
};

absl::Status SendByte(Io& io, TcpStream& stream) {
  return stream.WriteAll(io, "x");
}

absl::Status ReceiveByte(Io& io, TcpStream& stream) {
  char byte[1];
  return stream.ReadExactly(io, byte);
}

TYPED_TEST(PitfallXKernel, X8BoundedGroupKeepsThousandsOfConnectsInBounds) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    constexpr uint32_t kConnects = 2750;
    constexpr uint32_t kBound = 24;
    TcpListener listener = Listen(io);
    Door door;
    TaskGroup<B> servers(io);
    // A client is inside from its accept until it has said good-bye; it waits
    // to hear that it was counted out, so nobody takes its place before.
    const auto serve = [&](B& own, TcpStream client) {
      door.Enter();
      // The first ones stay until there are as many as there may be.
      YieldUntil(own, [&] { return door.most() >= kBound; });
      EXPECT_TRUE(SendByte(own, client).ok());
      EXPECT_TRUE(ReceiveByte(own, client).ok());
      door.Leave();
      EXPECT_TRUE(SendByte(own, client).ok());
      (void)ReceiveByte(own, client);
    };
    auto accepting = Concurrent(io, [&](B& own) {
                       for (uint32_t i = 0; i < kConnects; ++i) {
                         auto client = listener.Accept(own);
                         EXPECT_TRUE(client.ok()) << client.status();
                         if (client.ok()) {
                           servers.Spawn(serve, *std::move(client));
                         }
                       }
                     }).value();
    TaskGroup<B> clients(io, {.max_concurrent = kBound});
    for (uint32_t i = 0; i < kConnects; ++i) {
      ASSERT_TRUE(clients.Spawn([&](B& own) -> absl::Status {
        auto server = TcpStream::Connect(own, listener.local_address());
        if (!server.ok()) return server.status();
        absl::Status status = server->SetResetOnClose(true);
        status.Update(ReceiveByte(own, *server));
        status.Update(SendByte(own, *server));
        status.Update(ReceiveByte(own, *server));
        return status;
      }));
    }
    EXPECT_TRUE(clients.Await(io).ok());
    accepting.Await(io);
    EXPECT_TRUE(servers.Await(io).ok());
    EXPECT_EQ(door.most(), kBound);
  });
}

}  // namespace
}  // namespace weft
