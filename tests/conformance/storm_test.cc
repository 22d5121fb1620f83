// A storm: 64 tasks make random blocking calls in random scopes while others
// cancel them, on every backend. Nothing hangs, and the books balance: bytes,
// permits, values and meetings.
//
// WEFT_TEST_STORM_SECONDS says how long each backend has it; two by default.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "weft/runtime/future.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/barrier.h"
#include "weft/sync/broadcast.h"
#include "weft/sync/channel.h"
#include "weft/sync/condition.h"
#include "weft/sync/event.h"
#include "weft/sync/latch.h"
#include "weft/sync/mutex.h"
#include "weft/sync/once.h"
#include "weft/sync/select.h"
#include "weft/sync/semaphore.h"
#include "weft/sync/shared_mutex.h"
#include "weft/tests/conformance/backends.h"
#include "weft/tests/conformance/tcp_support.h"

namespace weft {
namespace {

using namespace std::chrono_literals;
using testing::ConnectedPair;
using testing::IsPattern;
using testing::Pair;
using testing::Pattern;
using testing::RunOn;
using testing::Seed;
using testing::ShrinkBuffers;

using Random = std::mt19937;

uint32_t Below(Random& random, uint32_t bound) {
  return static_cast<uint32_t>(random() % bound);
}

Duration UpTo(Random& random, uint32_t microseconds) {
  return std::chrono::microseconds(Below(random, microseconds));
}

// The scopes that are open, for those who cancel.
class Board {
 public:
  void Add(CancelScope& scope) {
    const std::lock_guard lock(mutex_);
    open_.push_back(&scope);
  }
  void Remove(CancelScope& scope) {
    const std::lock_guard lock(mutex_);
    std::erase(open_, &scope);
  }
  // The scope stays open meanwhile.
  void CancelOne(Random& random) {
    const std::lock_guard lock(mutex_);
    if (open_.empty()) return;
    open_[random() % open_.size()]->Cancel();
    cancels_.fetch_add(1, std::memory_order_relaxed);
  }
  uint64_t cancels() const { return cancels_.load(std::memory_order_relaxed); }

 private:
  std::mutex mutex_;
  std::vector<CancelScope*> open_;  // guarded by mutex_
  std::atomic<uint64_t> cancels_{0};
};

// A scope on the board, so that the call in it ends, whatever it waits for.
class StormScope {
 public:
  StormScope(Io& io, Board& board) : board_(board), scope_(io) {
    board_.Add(scope_);
  }
  ~StormScope() { board_.Remove(scope_); }

 private:
  Board& board_;
  CancelScope scope_;
};

// One direction of a connection. What was written and what was read is known
// to the byte, whoever was cancelled.
class Wire {
 public:
  Wire(net::TcpStream& from, net::TcpStream& to) : from_(from), to_(to) {}

  absl::Status Write(Io& io, Random& random) {
    if (writing_.exchange(true)) return absl::OkStatus();
    size_t written = 0;
    const absl::Status status =
        from_.WriteAll(io, Pattern(written_, Below(random, 20000)), &written);
    written_ += written;
    writing_ = false;
    return status;
  }

  absl::Status Read(Io& io, Random& random) {
    if (reading_.exchange(true)) return absl::OkStatus();
    std::string room(1 + Below(random, 10000), '\0');
    size_t read = 0;
    const absl::Status status = to_.ReadExactly(io, room, &read);
    EXPECT_TRUE(IsPattern(read_, std::span(room).first(read))) << read_;
    read_ += read;
    reading_ = false;
    return status;
  }

  void ExpectBalance(Io& io) {
    EXPECT_TRUE(from_.Shutdown(net::ShutdownMode::kWrite).ok());
    char room[4096];
    for (;;) {
      const size_t size = to_.Read(io, room).value();
      if (size == 0) break;
      EXPECT_TRUE(IsPattern(read_, std::span(room).first(size))) << read_;
      read_ += size;
    }
    EXPECT_EQ(read_, written_);
  }
  uint64_t read() const { return read_; }

 private:
  net::TcpStream& from_;
  net::TcpStream& to_;
  // One writer and one reader at a time; whoever has set the flag uses the
  // number.
  std::atomic<bool> writing_{false};
  std::atomic<bool> reading_{false};
  uint64_t written_ = 0;
  uint64_t read_ = 0;
};

// Numbered values that went in and came out.
class Ledger {
 public:
  uint64_t Next() { return next_.fetch_add(1) + 1; }
  void In(uint64_t value) { Add(in_, value); }
  void Out(uint64_t value) { Add(out_, value); }
  void ExpectBalance() const {
    EXPECT_EQ(in_.count, out_.count);
    EXPECT_EQ(in_.sum, out_.sum);
    EXPECT_EQ(in_.squares, out_.squares);
  }
  uint64_t count() const { return out_.count; }

 private:
  // A value that is missing and one that is doubled do not make up for each
  // other in all three.
  struct Sums {
    std::atomic<uint64_t> count{0};
    std::atomic<uint64_t> sum{0};
    std::atomic<uint64_t> squares{0};
  };
  static void Add(Sums& sums, uint64_t value) {
    sums.count.fetch_add(1);
    sums.sum.fetch_add(value);
    sums.squares.fetch_add(value * value);
  }

  std::atomic<uint64_t> next_{0};
  Sums in_;
  Sums out_;
};

template <Backend B>
class Storm {
 public:
  explicit Storm(B& io) {
    for (int i = 0; i < kPairs; ++i) {
      Pair& pair = pairs_.emplace_back(ConnectedPair(io));
      ShrinkBuffers(pair);
      wires_.emplace_back(pair.client, pair.server);
      wires_.emplace_back(pair.server, pair.client);
    }
  }

  Board& board() { return board_; }
  // What a thread of the host program may do to it.
  void Meddle(B& io, Random& random) {
    if (Below(random, 8) == 0) event_.Set(io);
    if (Below(random, 8) == 0) event_.Reset();
    if (Below(random, 8) == 0) condition_.NotifyOne(io);
    board_.CancelOne(random);
  }

  // Some calls one after another; ends soon after the task was cancelled.
  void Episode(B& io, Random& random, int depth) {
    int left_after_cancel = 2;
    for (uint32_t calls = 5 + Below(random, 20); calls > 0; --calls) {
      InScopes(io, random, depth);
      if (!CheckCancelled(io).ok() && left_after_cancel-- == 0) return;
    }
  }

  // When all tasks have ended.
  void ExpectBalance(B& io) {
    uint64_t bytes = 0;
    for (Wire& wire : wires_) {
      wire.ExpectBalance(io);
      bytes += wire.read();
    }
    for (Channel<uint64_t, B>* channel : {&rendezvous_, &buffered_}) {
      EXPECT_EQ(channel->waiting_senders(), 0u);
      EXPECT_EQ(channel->waiting_receivers(), 0u);
      for (auto value = channel->TryReceive(io); value.ok();
           value = channel->TryReceive(io)) {
        values_.Out(*value);
      }
    }
    values_.ExpectBalance();
    EXPECT_EQ(semaphore_.permits(), kPermits);
    EXPECT_EQ(semaphore_.waiters() + event_.waiters() + condition_.waiters() +
                  mutex_.waiters() + shared_mutex_.waiters() +
                  barrier_.waiters() + broadcast_.waiters(),
              0u);
    EXPECT_EQ(shared_mutex_.readers(), 0u);
    EXPECT_EQ(broadcast_.receivers(), 0u);
    EXPECT_EQ(meetings_ % kParties, 0u);
    EXPECT_EQ(counted_, expected_count_.load());
    std::cout << calls_ << " calls, " << given_up_ << " given up, " << bytes
              << " bytes, " << values_.count() << " values, " << meetings_
              << " met, " << board_.cancels() << " cancels\n";
    EXPECT_GT(bytes, 0u);
    EXPECT_GT(values_.count(), 0u);
    EXPECT_GT(given_up_.load(), 0u);
    EXPECT_GT(board_.cancels(), 0u);
  }

 private:
  static constexpr int kPairs = 6;
  static constexpr uint32_t kPermits = 5;
  static constexpr uint32_t kParties = 3;

  // One call in some scopes, of which one is on the board.
  void InScopes(B& io, Random& random, int depth) {
    std::optional<Deadline> outer;
    if (Below(random, 4) == 0) outer.emplace(io, UpTo(random, 5000));
    std::optional<Shield> shield;
    if (Below(random, 8) == 0) shield.emplace(io);
    const StormScope scope(io, board_);
    std::optional<Deadline> inner;
    if (Below(random, 4) != 0) inner.emplace(io, UpTo(random, 2000));
    const MonotonicTime begin = io.Now();
    const Duration span = UpTo(random, 1000);
    const absl::Status status = Call(io, random, span, depth);
    calls_.fetch_add(1, std::memory_order_relaxed);
    if (status.ok()) return;
    given_up_.fetch_add(1, std::memory_order_relaxed);
    // The reason is exact: the scopes still give it, or the call's own time
    // is over.
    if (absl::IsDeadlineExceeded(status) && io.Now() >= begin + span) return;
    EXPECT_TRUE(absl::IsDeadlineExceeded(status) || absl::IsCancelled(status))
        << status;
    EXPECT_FALSE(CheckCancelled(io).ok()) << status;
  }

  absl::Status Call(B& io, Random& random, Duration span, int depth) {
    // Children make no children.
    switch (Below(random, depth == 0 ? 19 : 16)) {
      case 0:
      case 1:
      case 2:
        return AWire(random).Write(io, random);
      case 3:
      case 4:
      case 5:
        return AWire(random).Read(io, random);
      case 6:
        return Sleep(io, span);
      case 7:
        return Acquire(io, random, span);
      case 8:
        return event_.WaitFor(io, span);
      case 9:
        return Lock(io, random, span);
      case 10:
        return WaitForCondition(io, span);
      case 11:
        return SendValue(io, random);
      case 12:
        return ReceiveValue(io, random);
      case 13:
        return SelectSomething(io, random);
      case 14:
        return Tell(io, random, span);
      case 15:
        return Meet(io, span);
      case 16:
        return Group(io, random);
      case 17:
        return Futures(io, random);
      default:
        return Countdown(io, span);
    }
  }

  Wire& AWire(Random& random) {
    return wires_[Below(random, static_cast<uint32_t>(wires_.size()))];
  }

  absl::Status Acquire(B& io, Random& random, Duration span) {
    const uint32_t count = 1 + Below(random, kPermits);
    const absl::Status status = Below(random, 2) == 0
                                    ? semaphore_.Acquire(io, count)
                                    : semaphore_.AcquireFor(io, span, count);
    if (!status.ok()) return status;
    EXPECT_LE(held_.fetch_add(count) + count, kPermits);
    io.Yield();
    held_.fetch_sub(count);
    semaphore_.Release(io, count);
    return absl::OkStatus();
  }

  absl::Status Lock(B& io, Random& random,
                    Duration span) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const uint32_t way = Below(random, 5);
    if (way < 2) {
      if (way == 0) {
        mutex_.Lock(io);
      } else if (!mutex_.TryLockFor(io, span)) {
        return absl::DeadlineExceededError("lock");
      }
      Count(io);
      mutex_.Unlock(io);
      condition_.NotifyAll(io);
      return absl::OkStatus();
    }
    if (way == 2) {
      if (!shared_mutex_.LockSharedUnlessCancelled(io)) {
        return CheckCancelled(io);
      }
      EXPECT_EQ(writers_.load(), 0);
      io.Yield();
      shared_mutex_.UnlockShared(io);
      return absl::OkStatus();
    }
    if (way == 3 ? !shared_mutex_.LockUnlessCancelled(io)
                 : !shared_mutex_.TryLockFor(io, span)) {
      return way == 3 ? CheckCancelled(io)
                      : absl::DeadlineExceededError("lock");
    }
    EXPECT_EQ(writers_.fetch_add(1), 0);
    io.Yield();
    writers_.fetch_sub(1);
    shared_mutex_.Unlock(io);
    return absl::OkStatus();
  }

  // Only with the mutex held.
  void Count(B& io) {
    const uint64_t before = counted_;
    io.Yield();
    counted_ = before + 1;
    expected_count_.fetch_add(1);
  }

  absl::Status WaitForCondition(B& io, Duration span) {
    MutexLock lock(mutex_, io);
    const uint64_t before = counted_;
    absl::Status status = condition_.WaitFor(io, mutex_, span, [&] {
      mutex_.AssertHeld(io);
      return counted_ != before;
    });
    EXPECT_TRUE(!status.ok() || counted_ != before);
    return status;
  }

  Channel<uint64_t, B>& AChannel(Random& random) {
    return Below(random, 2) == 0 ? rendezvous_ : buffered_;
  }

  absl::Status SendValue(B& io, Random& random) {
    const uint64_t value = values_.Next();
    absl::Status status = AChannel(random).Send(io, uint64_t{value});
    if (status.ok()) values_.In(value);
    return status;
  }

  absl::Status ReceiveValue(B& io, Random& random) {
    const absl::StatusOr<uint64_t> value = AChannel(random).Receive(io);
    if (value.ok()) values_.Out(*value);
    return value.status();
  }

  absl::Status SelectSomething(B& io, Random& random) {
    const uint64_t value = values_.Next();
    uint64_t to_send = value;
    auto future = Async(io, [](B& own) { own.Yield(); });
    const auto received = [&](const absl::StatusOr<uint64_t>& got) {
      values_.Out(got.value());
    };
    Channel<uint64_t, B>& in = AChannel(random);
    Channel<uint64_t, B>& out = &in == &rendezvous_ ? buffered_ : rendezvous_;
    absl::StatusOr<size_t> chosen =
        Select(io, OnReceive(in, received),
               OnSend(out, std::move(to_send),
                      [&](const absl::Status& sent) {
                        EXPECT_TRUE(sent.ok());
                        values_.In(value);
                      }),
               OnEvent(event_), OnEnd(future), After(UpTo(random, 1000)));
    return chosen.status();
  }

  // One tells at a time, so that the numbers come in order.
  absl::Status Tell(B& io, Random& random, Duration span) {
    if (Below(random, 2) == 0) {
      if (telling_.exchange(true)) return absl::OkStatus();
      for (uint32_t i = Below(random, 8); i > 0; --i) {
        EXPECT_TRUE(broadcast_.Send(io, ++told_).ok());
      }
      telling_ = false;
      return absl::OkStatus();
    }
    BroadcastReceiver<uint64_t, B> receiver(broadcast_);
    std::optional<uint64_t> last;
    for (int i = 0; i < 5; ++i) {
      const auto heard = receiver.ReceiveFor(io, span);
      if (!heard.ok()) return heard.status();
      EXPECT_TRUE(!last || heard->value == *last + 1 + heard->missed);
      last = heard->value;
    }
    return absl::OkStatus();
  }

  absl::Status Meet(B& io, Duration span) {
    absl::Status status = barrier_.WaitFor(io, span);
    if (status.ok()) meetings_.fetch_add(1);
    return status;
  }

  absl::Status Group(B& io, Random& random) {
    TaskGroup<B> group(io, {.max_concurrent = Below(random, 3)});
    for (uint32_t i = Below(random, 4); i > 0; --i) {
      group.Spawn([this, seed = random()](B& own) {
        Random child(static_cast<uint32_t>(seed));
        InScopes(own, child, /*depth=*/1);
      });
      if (Below(random, 6) == 0) group.Cancel();
    }
    // Now and then the destructor has to do it.
    return Below(random, 4) == 0 ? absl::OkStatus() : group.Await(io);
  }

  absl::Status Futures(B& io, Random& random) {
    auto future = Async(io, [this, seed = random()](B& own) {
      Random child(static_cast<uint32_t>(seed));
      InScopes(own, child, /*depth=*/1);
      return seed;
    });
    if (Below(random, 3) == 0) future.Cancel();
    if (Below(random, 4) != 0) future.Await(io);
    return absl::OkStatus();
  }

  absl::Status Countdown(B& io, Duration span) {
    constexpr uint32_t kTasks = 3;
    Latch<B> latch(kTasks);
    Once<B> once;
    std::atomic<int> runs{0};
    TaskGroup<B> group(io);
    for (uint32_t i = 0; i < kTasks; ++i) {
      const bool spawned = group.Spawn([&](B& own) {
        const absl::Status status = once.Run(own, [&](B& inside) {
          inside.Yield();
          runs.fetch_add(1);
        });
        EXPECT_TRUE(status.ok() || absl::IsCancelled(status)) << status;
        latch.CountDown(own);
      });
      EXPECT_TRUE(spawned);
    }
    const absl::Status waited = latch.WaitFor(io, span);
    EXPECT_TRUE(!waited.ok() || latch.count() == 0);
    absl::Status ended = group.Await(io);
    EXPECT_EQ(latch.count(), 0u);
    EXPECT_LE(runs.load(), 1);
    EXPECT_TRUE(!ended.ok() || runs == 1);
    return waited.ok() ? ended : waited;
  }

  Board board_;
  std::deque<Pair> pairs_;
  std::deque<Wire> wires_;
  Semaphore<B> semaphore_{kPermits, kPermits};
  std::atomic<uint32_t> held_{0};
  Event<B> event_;
  Mutex<B> mutex_;
  Condition<B> condition_;
  uint64_t counted_ = 0;  // guarded by mutex_
  std::atomic<uint64_t> expected_count_{0};
  SharedMutex<B> shared_mutex_;
  std::atomic<int> writers_{0};
  Channel<uint64_t, B> rendezvous_{0};
  Channel<uint64_t, B> buffered_{3};
  Ledger values_;
  Broadcast<uint64_t, B> broadcast_{4};
  std::atomic<bool> telling_{false};
  uint64_t told_ = 0;  // of whoever has set telling_
  Barrier<B> barrier_{kParties};
  std::atomic<uint64_t> meetings_{0};
  std::atomic<uint64_t> calls_{0};
  std::atomic<uint64_t> given_up_{0};
};

std::chrono::seconds StormSeconds() {
  const char* given = std::getenv("WEFT_TEST_STORM_SECONDS");
  return std::chrono::seconds(given == nullptr ? 2 : std::atoi(given));
}

template <class Config>
class StormTest : public testing::ConformanceTest<Config> {
 protected:
  StormTest() : testing::ConformanceTest<Config>(StormSeconds()) {}
};
TYPED_TEST_SUITE(StormTest, testing::KernelBackends, testing::BackendNames);

// Keeps groups of tasks busy, and cancels a group now and then.
template <Backend B>
void Drive(B& io, Storm<B>& storm, const Seed& seed, uint32_t driver,
           MonotonicTime end) {
  constexpr uint32_t kTasksAtOnce = 16;
  Random random = seed.GeneratorFor(driver);
  while (io.Now() < end) {
    const bool limited = Below(random, 3) == 0;
    std::optional<Deadline> deadline;
    if (limited) deadline.emplace(io, UpTo(random, 20000));
    TaskGroup<B> group(io, {.max_concurrent = kTasksAtOnce});
    for (uint32_t i = 20 + Below(random, 40); i > 0; --i) {
      group.Spawn([&storm, first = random()](B& own) {
        Random task(static_cast<uint32_t>(first));
        storm.Episode(own, task, /*depth=*/0);
      });
    }
    if (Below(random, 2) == 0) group.Cancel();
    const absl::Status status = group.Await(io);
    EXPECT_TRUE(status.ok() || (limited && absl::IsDeadlineExceeded(status)))
        << status;
  }
}

TYPED_TEST(StormTest, NothingHangsAndTheBooksBalance) {
  using B = typename TypeParam::Io;
  const Seed seed;
  RunOn<TypeParam>([&](B& io) {
    constexpr uint32_t kDrivers = 4;
    const MonotonicTime end = io.Now() + StormSeconds();
    Storm<B> storm(io);
    std::atomic<bool> over{false};
    std::thread meddler([&] {
      Random random = seed.GeneratorFor(kDrivers);
      while (!over) {
        storm.Meddle(io, random);
        std::this_thread::sleep_for(UpTo(random, 50));
      }
    });
    auto canceller = Concurrent(io, [&](B& own) {
                       Random random = seed.GeneratorFor(kDrivers + 1);
                       while (!over) {
                         storm.board().CancelOne(random);
                         (void)Sleep(own, UpTo(random, 100));
                       }
                     }).value();
    TaskGroup<B> drivers(io);
    for (uint32_t i = 0; i < kDrivers; ++i) {
      drivers.Spawn([&, i](B& own) { Drive(own, storm, seed, i, end); });
    }
    EXPECT_TRUE(drivers.Await(io).ok());
    over = true;
    meddler.join();
    canceller.Await(io);
    storm.ExpectBalance(io);
  });
}

}  // namespace
}  // namespace weft
