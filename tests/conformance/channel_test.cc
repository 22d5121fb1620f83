#include "weft/sync/channel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "weft/runtime/future.h"
#include "weft/runtime/task_group.h"
#include "weft/tests/conformance/backends.h"

namespace weft {
namespace {

using testing::MakeIo;
using testing::RunOn;
using testing::RunOnInstance;
using testing::YieldUntil;
using namespace std::chrono_literals;

template <class Config>
class ChannelTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(ChannelTest, testing::PerturbedToo::All,
                 testing::BackendNames);

// What needs the kernel or threads of the host program.
template <class Config>
using ChannelKernelTest = ChannelTest<Config>;
TYPED_TEST_SUITE(ChannelKernelTest, testing::PerturbedToo::Kernel,
                 testing::BackendNames);

TYPED_TEST(ChannelTest, KeepsValuesInOrderUpToItsCapacity) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Channel<std::string, B> channel(/*capacity=*/3);
    EXPECT_EQ(channel.capacity(), 3u);
    for (int round = 0; round < 5; ++round) {
      EXPECT_TRUE(channel.Send(io, "one").ok());
      EXPECT_TRUE(channel.Send(io, "two").ok());
      EXPECT_EQ(*channel.Receive(io), "one");
      EXPECT_TRUE(channel.TrySend(io, "three").ok());
      EXPECT_EQ(channel.size(), 2u);
      EXPECT_EQ(*channel.TryReceive(io), "two");
      EXPECT_EQ(*channel.Receive(io), "three");
    }
    EXPECT_EQ(channel.size(), 0u);
    EXPECT_EQ(channel.peak_size(), 2u);
  });
}

TYPED_TEST(ChannelTest, TryCallsDoNotWait) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Channel<std::string, B> channel(1);
    EXPECT_TRUE(absl::IsUnavailable(channel.TryReceive(io).status()));
    EXPECT_TRUE(channel.TrySend(io, "one").ok());
    std::string kept = "a string that is too long to be stored in place";
    const std::string copy = kept;
    EXPECT_TRUE(
        absl::IsResourceExhausted(channel.TrySend(io, std::move(kept))));
    EXPECT_EQ(kept, copy);
    channel.Close(io);
    EXPECT_TRUE(
        absl::IsFailedPrecondition(channel.TrySend(io, std::move(kept))));
    EXPECT_EQ(kept, copy);
    EXPECT_EQ(*channel.TryReceive(io), "one");
    EXPECT_TRUE(absl::IsOutOfRange(channel.TryReceive(io).status()));

    Channel<int, B> rendezvous(0);
    EXPECT_TRUE(absl::IsResourceExhausted(rendezvous.TrySend(io, 1)));
    EXPECT_TRUE(absl::IsUnavailable(rendezvous.TryReceive(io).status()));
  });
}

TYPED_TEST(ChannelTest, SenderWaitsForRoom) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Channel<int, B> channel(1);
    EXPECT_TRUE(channel.Send(io, 1).ok());
    auto sender = Async(io, [&](B& own) { return channel.Send(own, 2); });
    YieldUntil(io, [&] { return channel.waiting_senders() == 1; });
    EXPECT_EQ(*channel.Receive(io), 1);
    EXPECT_EQ(channel.size(), 1u);
    EXPECT_TRUE(sender.Await(io).ok());
    EXPECT_EQ(*channel.Receive(io), 2);
  });
}

TYPED_TEST(ChannelTest, RendezvousSendReturnsWhenReceived) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Channel<int, B> channel(0);
    auto sender = Async(io, [&](B& own) { return channel.Send(own, 7); });
    YieldUntil(io, [&] { return channel.waiting_senders() == 1; });
    EXPECT_FALSE(sender.ready());
    EXPECT_EQ(*channel.Receive(io), 7);
    EXPECT_TRUE(sender.Await(io).ok());

    auto receiver = Async(io, [&](B& own) { return channel.Receive(own); });
    YieldUntil(io, [&] { return channel.waiting_receivers() == 1; });
    EXPECT_TRUE(channel.TrySend(io, 8).ok());
    EXPECT_EQ(*receiver.Await(io), 8);
    EXPECT_EQ(channel.peak_size(), 0u);
  });
}

TYPED_TEST(ChannelTest, WaitingSendersAreServedInOrder) {
  using B = typename TypeParam::Io;
  for (const size_t capacity : {size_t{0}, size_t{2}}) {
    RunOn<TypeParam>([capacity](B& io) {
      Channel<size_t, B> channel(capacity);
      TaskGroup<B> group(io);
      for (size_t i = 0; i < capacity; ++i) {
        EXPECT_TRUE(channel.Send(io, size_t{i}).ok());
      }
      for (size_t i = 0; i < 6; ++i) {
        group.Spawn(
            [&, i](B& own) { return channel.Send(own, size_t{capacity + i}); });
        YieldUntil(io, [&] { return channel.waiting_senders() == i + 1; });
      }
      for (size_t i = 0; i < capacity + 6; ++i) {
        EXPECT_EQ(*channel.Receive(io), i);
      }
      EXPECT_TRUE(group.Await(io).ok());
    });
  }
}

TYPED_TEST(ChannelTest, WaitingReceiversAreServedInOrder) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Channel<size_t, B> channel(2);
    TaskGroup<B> group(io);
    for (size_t i = 0; i < 6; ++i) {
      group.Spawn([&, i](B& own) { EXPECT_EQ(*channel.Receive(own), i); });
      YieldUntil(io, [&] { return channel.waiting_receivers() == i + 1; });
    }
    for (size_t i = 0; i < 6; ++i) {
      EXPECT_TRUE(channel.TrySend(io, size_t{i}).ok());
    }
    EXPECT_TRUE(group.Await(io).ok());
  });
}

TYPED_TEST(ChannelTest, MoveOnlyValuesPass) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (const size_t capacity : {size_t{0}, size_t{1}}) {
      Channel<std::unique_ptr<int>, B> channel(capacity);
      auto sender = Async(io, [&](B& own) {
        auto value = std::make_unique<int>(5);
        absl::Status status = channel.Send(own, std::move(value));
        EXPECT_EQ(value, nullptr);
        return status;
      });
      const absl::StatusOr<std::unique_ptr<int>> value = channel.Receive(io);
      EXPECT_EQ(**value, 5);
      EXPECT_TRUE(sender.Await(io).ok());
    }
  });
}

TYPED_TEST(ChannelTest, ValuesLeftInsideAreDestroyed) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    const auto value = std::make_shared<int>(1);
    {
      Channel<std::shared_ptr<int>, B> channel(3);
      for (int i = 0; i < 2; ++i) {
        EXPECT_TRUE(channel.Send(io, std::shared_ptr<int>(value)).ok());
      }
      EXPECT_TRUE(channel.Receive(io).ok());
      for (int i = 0; i < 2; ++i) {
        EXPECT_TRUE(channel.Send(io, std::shared_ptr<int>(value)).ok());
      }
      EXPECT_EQ(value.use_count(), 4);
    }
    EXPECT_EQ(value.use_count(), 1);
  });
}

TYPED_TEST(ChannelTest, CloseFailsSendersAndLeavesTheirValues) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Channel<std::unique_ptr<int>, B> channel(1);
    EXPECT_TRUE(channel.Send(io, std::make_unique<int>(1)).ok());
    auto sender = Async(io, [&](B& own) {
      auto value = std::make_unique<int>(2);
      const absl::Status status = channel.Send(own, std::move(value));
      EXPECT_TRUE(absl::IsFailedPrecondition(status));
      EXPECT_EQ(status.message(), "send: channel is closed");
      return *value;
    });
    YieldUntil(io, [&] { return channel.waiting_senders() == 1; });
    channel.Close(io);
    channel.Close(io);
    EXPECT_EQ(sender.Await(io), 2);
    auto late = std::make_unique<int>(3);
    EXPECT_TRUE(absl::IsFailedPrecondition(channel.Send(io, std::move(late))));
    EXPECT_NE(late, nullptr);
    // What was sent before can still be received.
    const absl::StatusOr<std::unique_ptr<int>> sent = channel.Receive(io);
    EXPECT_EQ(**sent, 1);
    EXPECT_TRUE(absl::IsOutOfRange(channel.Receive(io).status()));
  });
}

TYPED_TEST(ChannelTest, CloseEndsTheWaitOfReceivers) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (const size_t capacity : {size_t{0}, size_t{4}}) {
      Channel<int, B> channel(capacity);
      TaskGroup<B> group(io);
      for (int i = 0; i < 4; ++i) {
        group.Spawn([&](B& own) {
          const absl::Status status = channel.Receive(own).status();
          EXPECT_TRUE(absl::IsOutOfRange(status));
          EXPECT_EQ(status.message(), "receive: channel is closed");
        });
      }
      YieldUntil(io, [&] { return channel.waiting_receivers() == 4; });
      channel.Close(io);
      EXPECT_TRUE(group.Await(io).ok());
    }
  });
}

TYPED_TEST(ChannelTest, CancelledSenderKeepsItsValueAndNextIsServed) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Channel<std::string, B> channel(0);
    auto first = Async(io, [&](B& own) {
      std::string value = "first";
      EXPECT_TRUE(absl::IsCancelled(channel.Send(own, std::move(value))));
      return value;
    });
    YieldUntil(io, [&] { return channel.waiting_senders() == 1; });
    auto second =
        Async(io, [&](B& own) { return channel.Send(own, "second"); });
    YieldUntil(io, [&] { return channel.waiting_senders() == 2; });
    first.Cancel();
    EXPECT_EQ(first.Await(io), "first");
    EXPECT_EQ(channel.waiting_senders(), 1u);
    EXPECT_EQ(*channel.Receive(io), "second");
    EXPECT_TRUE(second.Await(io).ok());
  });
}

TYPED_TEST(ChannelTest, CancelledReceiverLeavesTheValueToTheNext) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Channel<int, B> channel(0);
    auto first = Async(io, [&](B& own) { return channel.Receive(own); });
    YieldUntil(io, [&] { return channel.waiting_receivers() == 1; });
    auto second = Async(io, [&](B& own) { return channel.Receive(own); });
    YieldUntil(io, [&] { return channel.waiting_receivers() == 2; });
    first.Cancel();
    EXPECT_TRUE(absl::IsCancelled(first.Await(io).status()));
    EXPECT_TRUE(channel.Send(io, 1).ok());
    EXPECT_EQ(*second.Await(io), 1);
  });
}

TYPED_TEST(ChannelTest, DeadlineEndsWaits) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Channel<int, B> channel(0);
    Deadline deadline(io, 2ms);
    EXPECT_TRUE(absl::IsDeadlineExceeded(channel.Receive(io).status()));
    EXPECT_TRUE(absl::IsDeadlineExceeded(channel.Send(io, 1)));
    EXPECT_EQ(channel.waiting_receivers(), 0u);
    EXPECT_EQ(channel.waiting_senders(), 0u);
  });
}

TYPED_TEST(ChannelTest, CancelledScopeNeitherSendsNorReceives) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Channel<int, B> channel(2);
    EXPECT_TRUE(channel.Send(io, 1).ok());
    CancelScope scope(io);
    scope.Cancel();
    EXPECT_TRUE(absl::IsCancelled(channel.Send(io, 2)));
    EXPECT_TRUE(absl::IsCancelled(channel.Receive(io).status()));
    EXPECT_EQ(channel.size(), 1u);
  });
}

// C3, C5: a receiver is cancelled at the moment of a hand-over. Whatever wins
// the race, the value arrives exactly once.
TYPED_TEST(ChannelTest, ValueIsNotLostToACancel) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (int round = 0; round < 500; ++round) {
      Channel<int, B> channel(static_cast<size_t>(round % 2));
      const auto receive = [&](B& own) { return channel.Receive(own); };
      auto first = Async(io, receive);
      YieldUntil(io, [&] { return channel.waiting_receivers() == 1; });
      auto second = Async(io, receive);
      YieldUntil(io, [&] { return channel.waiting_receivers() == 2; });
      auto sent = Async(io, [&](B& own) { return channel.Send(own, 1); });
      if (round % 4 < 2) io.Yield();
      first.Cancel();
      EXPECT_TRUE(sent.Await(io).ok());
      const absl::StatusOr<int> received = first.Await(io);
      if (received.ok()) {
        EXPECT_EQ(*received, 1);
        EXPECT_TRUE(channel.Send(io, 1).ok());
      } else {
        EXPECT_TRUE(absl::IsCancelled(received.status()));
      }
      EXPECT_EQ(*second.Await(io), 1);
    }
  });
}

// The same for a sender: OK exactly if the value was received.
TYPED_TEST(ChannelTest, CancelledSendSaysWhetherTheValueWasSent) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (int round = 0; round < 500; ++round) {
      Channel<std::unique_ptr<int>, B> channel(0);
      auto sender = Async(io, [&](B& own) {
        auto value = std::make_unique<int>(1);
        const bool sent = channel.Send(own, std::move(value)).ok();
        EXPECT_EQ(sent, value == nullptr);
        return sent;
      });
      YieldUntil(io, [&] { return channel.waiting_senders() == 1; });
      auto receiver =
          Async(io, [&](B&) { return channel.TryReceive(io).ok(); });
      if (round % 2 == 0) io.Yield();
      sender.Cancel();
      EXPECT_EQ(sender.Await(io), receiver.Await(io));
    }
  });
}

// The use that the header shows.
TYPED_TEST(ChannelTest, ManyProducersAndConsumersLoseNothing) {
  using B = typename TypeParam::Io;
  for (const size_t capacity : {size_t{0}, size_t{1}, size_t{7}}) {
    RunOn<TypeParam>([capacity](B& io) {
      constexpr int kProducers = 4;
      constexpr int kPerProducer = 1000;
      Channel<int, B> channel(capacity);
      std::atomic<int64_t> sum = 0;
      std::atomic<int> count = 0;
      TaskGroup<B> consumers(io);
      for (int i = 0; i < 3; ++i) {
        consumers.Spawn([&](B& own) {
          for (auto value = channel.Receive(own); value.ok();
               value = channel.Receive(own)) {
            sum += *value;
            ++count;
          }
        });
      }
      TaskGroup<B> producers(io);
      for (int i = 0; i < kProducers; ++i) {
        producers.Spawn([&](B& own) -> absl::Status {
          for (int value = 1; value <= kPerProducer; ++value) {
            absl::Status status = channel.Send(own, int{value});
            if (!status.ok()) return status;
          }
          return absl::OkStatus();
        });
      }
      EXPECT_TRUE(producers.Await(io).ok());
      channel.Close(io);
      EXPECT_TRUE(consumers.Await(io).ok());
      EXPECT_EQ(count, kProducers * kPerProducer);
      EXPECT_EQ(sum,
                int64_t{kProducers} * kPerProducer * (kPerProducer + 1) / 2);
      EXPECT_LE(channel.peak_size(), capacity);
    });
  }
}

TYPED_TEST(ChannelTest, ValuesOfOneSenderStayInOrder) {
  using B = typename TypeParam::Io;
  for (const size_t capacity : {size_t{0}, size_t{3}}) {
    RunOn<TypeParam>([capacity](B& io) {
      Channel<std::pair<size_t, int>, B> channel(capacity);
      TaskGroup<B> producers(io);
      for (size_t sender = 0; sender < 4; ++sender) {
        producers.Spawn([&, sender](B& own) {
          for (int i = 0; i < 500; ++i) {
            EXPECT_TRUE(channel.Send(own, std::pair(sender, i)).ok());
          }
        });
      }
      std::vector<int> next(4, 0);
      for (int i = 0; i < 4 * 500; ++i) {
        const auto value = channel.Receive(io);
        EXPECT_EQ(value->second, next[value->first]++);
      }
      EXPECT_TRUE(producers.Await(io).ok());
    });
  }
}

TYPED_TEST(ChannelKernelTest, TwoInstancesShareOne) {
  using B = typename TypeParam::Io;
  for (const size_t capacity : {size_t{0}, size_t{4}}) {
    const std::unique_ptr<B> first = MakeIo<TypeParam>();
    const std::unique_ptr<B> second = MakeIo<TypeParam>();
    Channel<int, B> channel(capacity);
    std::thread other([&] {
      RunOnInstance(*second, [&](B& io) {
        for (int i = 0; i < 1000; ++i) {
          EXPECT_TRUE(channel.Send(io, int{i}).ok());
        }
        channel.Close(io);
      });
    });
    RunOnInstance(*first, [&](B& io) {
      for (int i = 0; i < 1000; ++i) EXPECT_EQ(*channel.Receive(io), i);
      EXPECT_TRUE(absl::IsOutOfRange(channel.Receive(io).status()));
    });
    other.join();
  }
}

TYPED_TEST(ChannelKernelTest, AnyThreadMayTrySendAndClose) {
  using B = typename TypeParam::Io;
  const std::unique_ptr<B> io = MakeIo<TypeParam>();
  Channel<int, B> channel(0);
  std::thread sender([&] {
    while (!channel.TrySend(*io, 1).ok()) std::this_thread::yield();
    channel.Close(*io);
  });
  RunOnInstance(*io, [&](B& own) {
    EXPECT_EQ(*channel.Receive(own), 1);
    EXPECT_TRUE(absl::IsOutOfRange(channel.Receive(own).status()));
  });
  sender.join();
}

TYPED_TEST(ChannelTest, ReceiverOfTheLastValueMayDestroyIt) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (int round = 0; round < 300; ++round) {
      TaskGroup<B> group(io);
      auto channel =
          std::make_unique<Channel<int, B>>(static_cast<size_t>(round % 2));
      group.Spawn([to = channel.get()](B& own) { return to->Send(own, 1); });
      EXPECT_TRUE(channel->Receive(io).ok());
      channel.reset();
      EXPECT_TRUE(group.Await(io).ok());
    }
  });
}

// Sends and receives of all kinds with deadlines in between: what was sent is
// what was received or is left.
TYPED_TEST(ChannelTest, Stress) {
  using B = typename TypeParam::Io;
  const testing::Seed seed;
  for (const size_t capacity : {size_t{0}, size_t{1}, size_t{4}}) {
    RunOn<TypeParam>([&, capacity](B& io) {
      Channel<std::unique_ptr<int>, B> channel(capacity);
      std::atomic<int64_t> sent = 0;
      std::atomic<int64_t> received = 0;
      TaskGroup<B> group(io);
      for (uint32_t task = 0; task < 4; ++task) {
        group.Spawn([&, task](B& own) {
          std::mt19937 random = seed.GeneratorFor(task);
          for (int i = 1; i <= 500; ++i) {
            auto value = std::make_unique<int>(i);
            Deadline deadline(own, std::chrono::microseconds(random() % 100));
            const absl::Status status =
                random() % 4 == 0 ? channel.TrySend(own, std::move(value))
                                  : channel.Send(own, std::move(value));
            EXPECT_EQ(status.ok(), value == nullptr);
            if (status.ok()) sent += i;
            if (random() % 4 == 0) own.Yield();
          }
        });
        group.Spawn([&, task](B& own) {
          std::mt19937 random = seed.GeneratorFor(100 + task);
          for (int i = 1; i <= 500; ++i) {
            Deadline deadline(own, std::chrono::microseconds(random() % 100));
            const absl::StatusOr<std::unique_ptr<int>> value =
                random() % 4 == 0 ? channel.TryReceive(own)
                                  : channel.Receive(own);
            if (value.ok()) received += **value;
            if (random() % 4 == 0) own.Yield();
          }
        });
      }
      EXPECT_TRUE(group.Await(io).ok());
      channel.Close(io);
      for (auto value = channel.Receive(io); value.ok();
           value = channel.Receive(io)) {
        received += **value;
      }
      EXPECT_EQ(sent, received);
    });
  }
}

template <class Config>
using ChannelDeathTest = ChannelTest<Config>;
TYPED_TEST_SUITE(ChannelDeathTest, testing::Backends, testing::BackendNames);

TYPED_TEST(ChannelDeathTest, MayNotBeDestroyedUnderAWaiter) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(
      RunOn<TypeParam>([](B& io) {
        std::optional<Channel<int, B>> channel(std::in_place, 0);
        auto waiter = Async(io, [&](B& own) { return channel->Receive(own); });
        YieldUntil(io, [&] { return channel->waiting_receivers() == 1; });
        channel.reset();
      }),
      "weft: misuse: a Channel was destroyed while a task waits");
}

}  // namespace
}  // namespace weft
