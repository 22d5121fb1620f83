#include "weft/sync/select.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>

#include "weft/runtime/future.h"
#include "weft/runtime/task_group.h"
#include "weft/tests/conformance/backends.h"

namespace weft {
namespace {

using testing::RunOn;
using testing::YieldUntil;
using namespace std::chrono_literals;

template <class Config>
class SelectTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(SelectTest, testing::PerturbedToo::All, testing::BackendNames);

const auto ignore = [](auto&&) {};
const auto expect_ok = [](const auto& result) { EXPECT_TRUE(result.ok()); };
const auto expect_not_called = [](auto&&...) { ADD_FAILURE(); };

// The use that the header shows, each kind of branch in its turn.
TYPED_TEST(SelectTest, CarriesOutTheBranchThatCanBe) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Channel<std::string, B> requests(1);
    Channel<std::string, B> results(1);
    Event<B> stop;
    Event<B> finish;
    auto future = Async(io, [&](B& own) {
      EXPECT_TRUE(finish.Wait(own).ok());
      return 7;
    });
    EXPECT_TRUE(results.Send(io, "first").ok());
    std::string result = "second, too long to be stored in place";
    std::string seen;
    const auto select = [&] {
      seen.clear();
      return Select(
          io,
          OnReceive(requests,
                    [&](absl::StatusOr<std::string> request) {
                      seen = request.ok() ? *request : "closed";
                    }),
          OnSend(results, std::move(result),
                 [&](absl::Status sent) { seen = sent.ok() ? "sent" : "not"; }),
          OnEvent(stop, [&] { seen = "stop"; }),
          OnEnd(future, [&] { seen = std::to_string(future.Await(io)); }),
          After(1ms, [&] { seen = "late"; }));
    };
    EXPECT_EQ(*select(), 4u);
    EXPECT_EQ(seen, "late");
    EXPECT_EQ(result, "second, too long to be stored in place");
    EXPECT_TRUE(requests.Send(io, "request").ok());
    EXPECT_EQ(*select(), 0u);
    EXPECT_EQ(seen, "request");
    EXPECT_EQ(*results.Receive(io), "first");
    EXPECT_EQ(*select(), 1u);
    EXPECT_EQ(seen, "sent");
    EXPECT_EQ(*results.Receive(io), "second, too long to be stored in place");
    EXPECT_TRUE(results.Send(io, "full").ok());
    stop.Set(io);
    EXPECT_EQ(*select(), 2u);
    EXPECT_EQ(seen, "stop");
    stop.Reset();
    finish.Set(io);
    YieldUntil(io, [&] { return future.ready(); });
    EXPECT_EQ(*select(), 3u);
    EXPECT_EQ(seen, "7");
  });
}

// Each kind of branch while Select waits; it leaves no trace in the others.
TYPED_TEST(SelectTest, WaitsForTheFirstOfAllKinds) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Channel<int, B> in(0);
    Channel<int, B> out(0);
    Event<B> event;
    Event<B> finish;
    auto future = Async(io, [&](B& own) { return finish.Wait(own); });
    const auto select = [&](B& own) {
      int value = 5;
      return *Select(own, OnReceive(in, expect_ok),
                     OnSend(out, std::move(value), expect_ok), OnEvent(event),
                     OnEnd(future), After(1h));
    };
    for (size_t branch = 0; branch < 4; ++branch) {
      auto selecting = Async(io, select);
      YieldUntil(io, [&] { return event.waiters() == 1; });
      EXPECT_EQ(in.waiting_receivers(), 1u);
      EXPECT_EQ(out.waiting_senders(), 1u);
      switch (branch) {
        case 0:
          EXPECT_TRUE(in.Send(io, 1).ok());
          break;
        case 1:
          EXPECT_EQ(*out.Receive(io), 5);
          break;
        case 2:
          event.Set(io);
          break;
        default:
          finish.Set(io);
      }
      EXPECT_EQ(selecting.Await(io), branch);
      EXPECT_EQ(in.waiting_receivers(), 0u);
      EXPECT_EQ(out.waiting_senders(), 0u);
      EXPECT_EQ(event.waiters(), 0u);
      event.Reset();
    }
    EXPECT_TRUE(future.ready());
    EXPECT_TRUE(future.Await(io).ok());
  });
}

TYPED_TEST(SelectTest, ClosedChannelsAreReadyAndKeepTheValue) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (const bool at_once : {true, false}) {
      Channel<std::unique_ptr<int>, B> channel(0);
      auto value = std::make_unique<int>(3);
      if (at_once) channel.Close(io);
      auto sender = Async(io, [&](B& own) {
        return Select(own,
                      OnSend(channel, std::move(value), [](absl::Status sent) {
                        EXPECT_TRUE(absl::IsFailedPrecondition(sent));
                      }));
      });
      if (!at_once) {
        YieldUntil(io, [&] { return channel.waiting_senders() == 1; });
        channel.Close(io);
      }
      EXPECT_EQ(*sender.Await(io), 0u);
      EXPECT_NE(value, nullptr);
      EXPECT_EQ(*Select(io, OnReceive(channel,
                                      [](const auto& received) {
                                        EXPECT_TRUE(absl::IsOutOfRange(
                                            received.status()));
                                      })),
                0u);
    }
  });
}

TYPED_TEST(SelectTest, ZeroTimeMeansIfNothingElse) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Channel<int, B> channel(1);
    EXPECT_EQ(*Select(io, OnReceive(channel, expect_not_called), After(0ns)),
              1u);
    for (int round = 0; round < 50; ++round) {
      EXPECT_TRUE(channel.Send(io, 1).ok());
      EXPECT_EQ(*Select(io, After(0ns), OnReceive(channel, expect_ok)), 1u);
    }
    const MonotonicTime start = io.Now();
    EXPECT_EQ(*Select(io, After(1h), After(2ms), After(kNever - io.Now())), 1u);
    EXPECT_GE(io.Now() - start, 2ms);
  });
}

TYPED_TEST(SelectTest, ReasonForGivingUpIsExact) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Channel<int, B> channel(0);
    Event<B> event;
    const auto select = [&](B& own) {
      int value = 0;
      return Select(own, OnReceive(channel, expect_not_called),
                    OnSend(channel, std::move(value), expect_not_called),
                    OnEvent(event, expect_not_called),
                    After(1h, expect_not_called))
          .status();
    };
    {
      Deadline deadline(io, 2ms);
      EXPECT_TRUE(absl::IsDeadlineExceeded(select(io)));
      EXPECT_TRUE(deadline.fired());
    }
    auto cancelled = Async(io, select);
    YieldUntil(io, [&] { return event.waiters() == 1; });
    cancelled.Cancel();
    const absl::Status status = cancelled.Await(io);
    EXPECT_TRUE(absl::IsCancelled(status));
    EXPECT_EQ(status.message(), "select: cancelled");
    // C4: nobody waits any more.
    EXPECT_EQ(event.waiters(), 0u);
    EXPECT_EQ(channel.waiting_receivers(), 0u);
    EXPECT_EQ(channel.waiting_senders(), 0u);
    EXPECT_TRUE(absl::IsResourceExhausted(channel.TrySend(io, 1)));
    event.Set(io);
    CancelScope scope(io);
    scope.Cancel();
    EXPECT_TRUE(absl::IsCancelled(select(io)));
  });
}

TYPED_TEST(SelectTest, ChoosesAmongReadyBranchesEvenly) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    constexpr int kRounds = 4000;
    Channel<int, B> full(kRounds);
    Channel<int, B> empty(kRounds);
    Event<B> never;
    Event<B> event;
    event.Set(io);
    for (int i = 0; i < kRounds; ++i) EXPECT_TRUE(full.Send(io, 1).ok());
    std::array<int, 4> counts = {};
    for (int i = 0; i < kRounds; ++i) {
      int value = i;
      ++counts[*Select(io, OnEvent(never), OnReceive(full, ignore),
                       OnSend(empty, std::move(value), ignore),
                       OnEvent(event))];
    }
    EXPECT_EQ(counts[0], 0);
    for (size_t branch = 1; branch < counts.size(); ++branch) {
      // Eight standard deviations.
      EXPECT_NEAR(counts[branch], kRounds / 3, 240) << "branch " << branch;
    }
  });
}

TYPED_TEST(SelectTest, HandlerMaySelectAndThrow) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Channel<int, B> channel(2);
    EXPECT_TRUE(channel.Send(io, 1).ok());
    EXPECT_TRUE(channel.Send(io, 2).ok());
    int sum = 0;
    const auto outer = [&](absl::StatusOr<int> first) {
      sum += *first;
      const auto inner = [&](absl::StatusOr<int> second) { sum += *second; };
      EXPECT_TRUE(Select(io, OnReceive(channel, inner)).ok());
      throw std::runtime_error("handler");
    };
    EXPECT_THROW((void)Select(io, OnReceive(channel, outer)),
                 std::runtime_error);
    EXPECT_EQ(sum, 3);
    EXPECT_TRUE(channel.TrySend(io, 1).ok());
  });
}

// A future can be awaited after a Select that chose something else.
TYPED_TEST(SelectTest, FutureThatWasNotChosenGoesOn) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (int round = 0; round < 300; ++round) {
      Event<B> event;
      auto future = Async(io, [&](B& own) {
        event.Set(own);
        return round;
      });
      const absl::StatusOr<size_t> chosen =
          Select(io, OnEvent(event), OnEnd(future), After(1h));
      EXPECT_LT(*chosen, 2u);
      EXPECT_TRUE(*chosen == 0 || future.ready());
      EXPECT_EQ(future.Await(io), round);
    }
  });
}

// C5: a value that was handed to a Select that is cancelled at that moment is
// either received or stays with its sender.
TYPED_TEST(SelectTest, ValueIsNotLostToACancel) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (int round = 0; round < 500; ++round) {
      Channel<int, B> first(0);
      Channel<int, B> second(0);
      int received = 0;
      const auto count = [&](absl::StatusOr<int> value) { received += *value; };
      auto selecting = Async(io, [&](B& own) {
        return Select(own, OnReceive(first, count), OnReceive(second, count))
            .status();
      });
      YieldUntil(io, [&] { return second.waiting_receivers() == 1; });
      std::atomic<int> sent = 0;
      TaskGroup<B> senders(io);
      for (Channel<int, B>* const channel : {&first, &second}) {
        senders.Spawn([&sent, channel](B& own) {
          if (channel->TrySend(own, 1).ok()) ++sent;
        });
      }
      if (round % 2 == 0) io.Yield();
      selecting.Cancel();
      const absl::Status status = selecting.Await(io);
      EXPECT_TRUE(senders.Await(io).ok());
      EXPECT_EQ(received, sent);
      EXPECT_EQ(received, status.ok() ? 1 : 0);
    }
  });
}

// Two tasks select on the same two rendezvous channels, in opposite order and
// in opposite directions: whatever is sent is received, and nobody hangs.
TYPED_TEST(SelectTest, SelectsMeetEachOther) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    constexpr int kRounds = 2000;
    Channel<int, B> a(0);
    Channel<int, B> b(0);
    std::array<int64_t, 2> sent = {};
    std::array<int64_t, 2> received = {};
    const auto select = [&](B& own, size_t me, Channel<int, B>& to,
                            Channel<int, B>& from) {
      int next = 1;
      // Either direction is a step for both of them.
      for (int i = 0; i < kRounds; ++i) {
        const auto take = [&](absl::StatusOr<int> value) {
          received[me] += *value;
        };
        const auto gave = [&](absl::Status status) {
          EXPECT_TRUE(status.ok());
          sent[me] += next++;
        };
        int value = next;
        const absl::StatusOr<size_t> chosen =
            me == 0 ? Select(own, OnSend(to, std::move(value), gave),
                             OnReceive(from, take))
                    : Select(own, OnReceive(from, take),
                             OnSend(to, std::move(value), gave));
        EXPECT_TRUE(chosen.ok());
      }
    };
    auto other = Async(io, [&](B& own) { select(own, 1, b, a); });
    select(io, 0, a, b);
    other.Await(io);
    EXPECT_EQ(sent[0], received[1]);
    EXPECT_EQ(sent[1], received[0]);
  });
}

// Tasks that select on all of several channels, of several capacities, in
// random order, with deadlines; others use the channels directly. What is sent
// is received, once.
TYPED_TEST(SelectTest, Stress) {
  using B = typename TypeParam::Io;
  const testing::Seed seed;
  RunOn<TypeParam>([&](B& io) {
    constexpr uint32_t kTasks = 6;
    for (uint32_t round = 0; round < 6; ++round) {
      Channel<int64_t, B> a(round % 3);
      Channel<int64_t, B> b(0);
      Event<B> event;
      std::atomic<int64_t> sent = 0;
      std::atomic<int64_t> received = 0;
      const auto take = [&](absl::StatusOr<int64_t> value) {
        if (value.ok()) received += *value;
      };
      const auto step = [&](B& own, std::mt19937& random) {
        const auto value = static_cast<int64_t>(random() % 1000);
        const auto gave = [&](absl::Status status) {
          if (status.ok()) sent += value;
        };
        int64_t given = value;
        int64_t same = value;
        Deadline deadline(own, std::chrono::microseconds(random() % 300));
        switch (random() % 6) {
          case 0:
            (void)Select(own, OnSend(a, std::move(given), gave),
                         OnReceive(b, take), OnEvent(event));
            break;
          case 1:
            (void)Select(own, OnSend(b, std::move(given), gave),
                         OnReceive(a, take), After(100us));
            break;
          case 2:
            (void)Select(own, OnReceive(b, take), OnReceive(a, take),
                         OnSend(b, std::move(given), gave),
                         OnSend(a, std::move(same), gave));
            break;
          case 3:
            take(a.Receive(own));
            break;
          case 4:
            gave(b.Send(own, std::move(given)));
            break;
          default:
            event.Set(own);
            own.Yield();
            event.Reset();
        }
      };
      TaskGroup<B> group(io);
      for (uint32_t task = 0; task < kTasks; ++task) {
        group.Spawn([&, round, task](B& own) {
          std::mt19937 random = seed.GeneratorFor(round * kTasks + task);
          for (int i = 0; i < 150; ++i) step(own, random);
        });
      }
      EXPECT_TRUE(group.Await(io).ok());
      for (auto rest = a.TryReceive(io); rest.ok(); rest = a.TryReceive(io)) {
        received += *rest;
      }
      EXPECT_EQ(sent, received);
      for (Channel<int64_t, B>* const channel : {&a, &b}) {
        EXPECT_EQ(channel->waiting_senders(), 0u);
        EXPECT_EQ(channel->waiting_receivers(), 0u);
      }
      EXPECT_EQ(event.waiters(), 0u);
    }
  });
}

// An event that is watched may be destroyed by the Select it let go.
TYPED_TEST(SelectTest, MayDestroyTheEventThatLetItGo) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (int round = 0; round < 300; ++round) {
      TaskGroup<B> group(io);
      auto event = std::make_unique<Event<B>>();
      group.Spawn([set = event.get()](B& own) { set->Set(own); });
      EXPECT_TRUE(Select(io, OnEvent(*event), After(1h)).ok());
      event.reset();
      EXPECT_TRUE(group.Await(io).ok());
    }
  });
}

template <class Config>
using SelectDeathTest = SelectTest<Config>;
TYPED_TEST_SUITE(SelectDeathTest, testing::Backends, testing::BackendNames);

TYPED_TEST(SelectDeathTest, FutureMayNotBeEmpty) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) {
                 auto future = Async(io, [] {});
                 future.Await(io);
                 (void)Select(io, OnEnd(future));
               }),
               "weft: misuse: OnEnd of an empty Future");
}

TYPED_TEST(SelectDeathTest, FutureMayNotBeInTwoBranches) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) {
                 Event<B> never;
                 auto future =
                     Async(io, [&](B& own) { return never.Wait(own); });
                 (void)Select(io, OnEnd(future), OnEnd(future));
               }),
               "weft: misuse: a Future is used twice at once");
}

}  // namespace
}  // namespace weft
