#include "weft/sync/broadcast.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>

#include "weft/runtime/future.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/select.h"
#include "weft/tests/conformance/backends.h"

namespace weft {
namespace {

using testing::MakeIo;
using testing::RunOn;
using testing::RunOnInstance;
using testing::YieldUntil;
using namespace std::chrono_literals;

template <class Config>
class BroadcastTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(BroadcastTest, testing::Backends, testing::BackendNames);

// What needs the kernel or threads of the host program.
template <class Config>
using BroadcastKernelTest = BroadcastTest<Config>;
TYPED_TEST_SUITE(BroadcastKernelTest, testing::KernelBackends,
                 testing::BackendNames);

TYPED_TEST(BroadcastTest, EveryReceiverGetsEveryValueFromItsStart) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Broadcast<std::string, B> broadcast(4);
    EXPECT_EQ(broadcast.capacity(), 4u);
    EXPECT_TRUE(broadcast.Send(io, "before").ok());
    BroadcastReceiver<std::string, B> first(broadcast);
    EXPECT_TRUE(broadcast.Send(io, "one").ok());
    BroadcastReceiver<std::string, B> second(broadcast);
    EXPECT_TRUE(broadcast.Send(io, "two").ok());
    EXPECT_EQ(broadcast.receivers(), 2u);
    EXPECT_EQ(first.Receive(io)->value, "one");
    EXPECT_EQ(first.Receive(io)->value, "two");
    EXPECT_EQ(second.TryReceive(io)->value, "two");
    EXPECT_TRUE(absl::IsUnavailable(first.TryReceive(io).status()));
  });
}

TYPED_TEST(BroadcastTest, SlowReceiverIsToldHowManyItMissed) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Broadcast<int, B> broadcast(3);
    BroadcastReceiver<int, B> receiver(broadcast);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(broadcast.Send(io, i).ok());
    EXPECT_EQ(receiver.Receive(io)->missed, 0u);
    for (int i = 3; i < 10; ++i) EXPECT_TRUE(broadcast.Send(io, i).ok());
    const auto received = receiver.Receive(io);
    EXPECT_EQ(received->value, 7);
    EXPECT_EQ(received->missed, 6u);
    EXPECT_EQ(receiver.Receive(io)->missed, 0u);
    EXPECT_EQ(receiver.Receive(io)->value, 9);
  });
}

TYPED_TEST(BroadcastTest, ClosedOneStillGivesWhatWasSent) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Broadcast<int, B> broadcast(2);
    BroadcastReceiver<int, B> receiver(broadcast);
    BroadcastReceiver<int, B> waiting(broadcast);
    EXPECT_TRUE(broadcast.Send(io, 1).ok());
    EXPECT_EQ(waiting.Receive(io)->value, 1);
    auto waiter =
        Async(io, [&](B& own) { return waiting.Receive(own).status(); });
    YieldUntil(io, [&] { return broadcast.waiters() == 1; });
    broadcast.Close(io);
    broadcast.Close(io);
    EXPECT_TRUE(absl::IsOutOfRange(waiter.Await(io)));
    EXPECT_TRUE(absl::IsFailedPrecondition(broadcast.Send(io, 2)));
    EXPECT_EQ(receiver.Receive(io)->value, 1);
    EXPECT_TRUE(absl::IsOutOfRange(receiver.Receive(io).status()));
    EXPECT_TRUE(absl::IsOutOfRange(receiver.TryReceive(io).status()));
  });
}

// C4, C5: a receiver that gives up loses no value.
TYPED_TEST(BroadcastTest, ReceiverThatGivesUpMissesNothing) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Broadcast<int, B> broadcast(1);
    BroadcastReceiver<int, B> receiver(broadcast);
    const MonotonicTime start = io.Now();
    EXPECT_TRUE(
        absl::IsDeadlineExceeded(receiver.ReceiveFor(io, 2ms).status()));
    EXPECT_GE(io.Now() - start, 2ms);
    for (int round = 0; round < 300; ++round) {
      auto waiter = Async(io, [&](B& own) { return receiver.Receive(own); });
      if (round % 2 == 0) {
        YieldUntil(io, [&] { return broadcast.waiters() == 1; });
      }
      auto sender = Async(io, [&](B& own) { return broadcast.Send(own, 1); });
      if (round % 4 < 2) io.Yield();
      waiter.Cancel();
      auto received = waiter.Await(io);
      if (!received.ok()) {
        EXPECT_TRUE(absl::IsCancelled(received.status()));
        received = receiver.Receive(io);
      }
      EXPECT_EQ(received->missed, 0u);
      EXPECT_TRUE(sender.Await(io).ok());
      EXPECT_EQ(broadcast.waiters(), 0u);
    }
  });
}

TYPED_TEST(BroadcastTest, IsABranchOfASelect) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Broadcast<int, B> broadcast(1);
    BroadcastReceiver<int, B> receiver(broadcast);
    Event<B> stop;
    uint64_t got = 0;
    const auto select = [&](B& own) {
      return *Select(own, OnEvent(stop),
                     OnReceive(receiver,
                               [&](absl::StatusOr<Received<int>> received) {
                                 got = received->missed + 1;
                               }),
                     After(1ms));
    };
    EXPECT_EQ(select(io), 2u);
    EXPECT_EQ(broadcast.waiters(), 0u);
    EXPECT_TRUE(broadcast.Send(io, 1).ok());
    EXPECT_TRUE(broadcast.Send(io, 2).ok());
    EXPECT_EQ(select(io), 1u);
    EXPECT_EQ(got, 2u);
    auto waiting = Async(io, [&](B& own) {
      return *Select(own, OnEvent(stop), OnReceive(receiver, [](auto&&) {}));
    });
    YieldUntil(io, [&] { return broadcast.waiters() == 1; });
    EXPECT_TRUE(broadcast.Send(io, 3).ok());
    EXPECT_EQ(waiting.Await(io), 1u);
    EXPECT_EQ(stop.waiters(), 0u);
  });
}

TYPED_TEST(BroadcastKernelTest, AnyThreadMaySend) {
  using B = typename TypeParam::Io;
  const std::unique_ptr<B> io = MakeIo<TypeParam>();
  Broadcast<int, B> broadcast(1);
  std::thread sender([&] {
    while (broadcast.waiters() == 0) std::this_thread::yield();
    EXPECT_TRUE(broadcast.Send(*io, 4).ok());
  });
  RunOnInstance(*io, [&](B& own) {
    BroadcastReceiver<int, B> receiver(broadcast);
    EXPECT_EQ(receiver.Receive(own)->value, 4);
  });
  sender.join();
}

// Whatever the speed of a receiver: what it received and what it missed is
// what was sent, in order.
TYPED_TEST(BroadcastTest, Stress) {
  using B = typename TypeParam::Io;
  const testing::Seed seed;
  RunOn<TypeParam>([&](B& io) {
    constexpr uint64_t kValues = 3000;
    constexpr uint32_t kReceivers = 4;
    Broadcast<uint64_t, B> broadcast(8);
    TaskGroup<B> receivers(io);
    for (uint32_t task = 0; task < kReceivers; ++task) {
      receivers.Spawn([&, task](B& own) {
        std::mt19937 random = seed.GeneratorFor(task);
        BroadcastReceiver<uint64_t, B> receiver(broadcast);
        for (uint64_t next = 0;;) {
          const Duration limit = std::chrono::microseconds(random() % 100);
          const auto received = receiver.ReceiveFor(own, limit);
          if (absl::IsDeadlineExceeded(received.status())) continue;
          if (!received.ok()) {
            EXPECT_TRUE(absl::IsOutOfRange(received.status()));
            EXPECT_EQ(next, kValues);
            break;
          }
          next += received->missed;
          EXPECT_EQ(received->value, next++);
          if (random() % (task + 1) != 0) own.Yield();
        }
      });
    }
    YieldUntil(io, [&] { return broadcast.receivers() == kReceivers; });
    for (uint64_t value = 0; value < kValues; ++value) {
      EXPECT_TRUE(broadcast.Send(io, value).ok());
      if (value % 5 == 0) io.Yield();
    }
    broadcast.Close(io);
    EXPECT_TRUE(receivers.Await(io).ok());
    EXPECT_EQ(broadcast.waiters(), 0u);
  });
}

template <class Config>
using BroadcastDeathTest = BroadcastTest<Config>;
TYPED_TEST_SUITE(BroadcastDeathTest, testing::Backends, testing::BackendNames);

TYPED_TEST(BroadcastDeathTest, NeedsRoom) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH((Broadcast<int, B>(0)),
               "weft: misuse: a Broadcast was made without room");
}

TYPED_TEST(BroadcastDeathTest, MayNotBeDestroyedBeforeItsReceivers) {
  using B = typename TypeParam::Io;
  const auto destroy_too_early = [] {
    std::optional<Broadcast<int, B>> broadcast(std::in_place, 1);
    BroadcastReceiver<int, B> receiver(*broadcast);
    broadcast.reset();
  };
  EXPECT_DEATH(destroy_too_early(),
               "weft: misuse: a Broadcast was destroyed before its receivers");
}

}  // namespace
}  // namespace weft
