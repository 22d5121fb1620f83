// weft's own runtime on weft's own switch: the classes that are about policy
// run on it in place of the suite's scheduler.
#ifndef WEFT_TESTS_SWITCH_ADAPTERS_EVENTED_H_
#define WEFT_TESTS_SWITCH_ADAPTERS_EVENTED_H_

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "weft/backends/evented/evented.h"
#include "weft/runtime/future.h"
#include "weft/runtime/internal/guarded_stacks.h"
#include "weft/runtime/operation.h"
#include "weft/runtime/scope.h"
#include "weft/sync/event.h"
#include "weft/sync/internal/require_task.h"
#include "weft/sync/mutex.h"
#include "weft/sync/select.h"
#include "weft/tests/switch/adapters/weft.h"
#include "weft/tests/switch/scheduler.h"

namespace weft::switches {

// Has what the suite's scheduler has.
class EventedRuntime {
 public:
  using Body = std::function<void(EventedRuntime&)>;

  struct Signal {
    std::atomic<uint32_t> set{0};
  };

  class Mutex {
   public:
    void Lock(EventedRuntime& runtime) ABSL_NO_THREAD_SAFETY_ANALYSIS {
      mutex_.Lock(runtime.io_);
    }
    void Unlock(EventedRuntime& runtime) ABSL_NO_THREAD_SAFETY_ANALYSIS {
      mutex_.Unlock(runtime.io_);
    }

   private:
    weft::Mutex<Evented> mutex_;
  };

  class Task {
   public:
    Task(Evented& io, const SpawnOptions& options, Body body)
        : future_(*Concurrent(io, options,
                              [body = std::move(body)](Evented& its_io) {
                                EventedRuntime runtime(its_io);
                                body(runtime);
                              })) {}
    void Await(Evented& io) { future_.Await(io); }

   private:
    Future<void, Evented> future_;
  };

  static std::string Refusal() {
    const auto io = Evented::Create({.workers = 1});
    return std::string(io.status().message());
  }

  // Each body has an instance with one worker.
  static void Run(std::vector<Body> bodies) {
    std::vector<std::thread> threads;
    for (Body& body : bodies) {
      threads.emplace_back([&body] { RunShared(1, body); });
    }
    for (std::thread& thread : threads) thread.join();
  }
  static void RunShared(uint32_t workers, const Body& body) {
    const auto io = Evented::Create({.workers = workers});
    Expect(io.ok(), "no Evented");
    const auto status = (*io)->Run([&](Evented& its_io) {
      EventedRuntime runtime(its_io);
      body(runtime);
    });
    Expect(status.ok(), "no task");
  }

  Task* Spawn(Body body, size_t stack_size = kStackSize) {
    SpawnOptions options;
    options.stack_size = stack_size + internal::kGuardSize;
    return new Task(io_, options, std::move(body));
  }
  void Await(Task* task) { std::unique_ptr<Task>(task)->Await(io_); }
  void Drop(Task* task) { delete task; }

  bool Wait(Signal& signal) {
    while (signal.set.exchange(0) == 0) {
      if (io_.FutexWait(signal.set, 0, {}) == WakeReason::kInterrupted) {
        return false;
      }
    }
    return true;
  }
  void Notify(Signal& signal) {
    signal.set = 1;
    io_.FutexWake(signal.set, 1);
  }
  void Yield() { io_.Yield(); }

  // As the suite's scheduler has it, in every way that a fiber of weft parks.
  template <class Look>
  [[gnu::always_inline]] void PauseInEveryWay(const Look& look) {
    io_.Yield();
    look("a yield");
    WaitInEveryWay(look);
    SleepInEveryWay(look);
    ReadInEveryWay(look);
    Task* const slow = Spawn([](EventedRuntime& other) { other.Yield(); });
    Await(slow);
    look("an await");
    SelectInEveryWay(look);
  }

  const void* Current() {
    const weft::Task& read_inline = internal::RequireTask(io_, "Current");
    Expect(&read_inline == &io_.CurrentTask("Current"),
           "there are two current fibers");
    return &read_inline;
  }

 private:
  static constexpr std::chrono::microseconds kSoon{100};
  static constexpr std::chrono::hours kTooLong{1};

  class Pipe {
   public:
    Pipe() { Expect(pipe2(ends_, O_CLOEXEC) == 0, "no pipe"); }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    ~Pipe() {
      close(ends_[0]);
      close(ends_[1]);
    }
    [[gnu::always_inline]] int64_t Read(Evented& io) const {
      char byte;
      return io.Perform(op::ReadAt{.fd = ends_[0], .data = &byte, .size = 1});
    }
    int64_t Write(Evented& io) const {
      return io.Perform(op::WriteAt{.fd = ends_[1], .data = "x", .size = 1});
    }

   private:
    int ends_[2];
  };

  explicit EventedRuntime(Evented& io) : io_(io) {}

  template <class Look>
  [[gnu::always_inline]] void WaitInEveryWay(const Look& look) {
    // Never changes, so that each wait parks.
    const std::atomic<uint32_t> word{0};
    Task* const waker = Spawn([&word](EventedRuntime& other) {
      while (other.io_.FutexWake(word, 1) == 0) other.Yield();
    });
    Expect(io_.FutexWait(word, 0, {}) == WakeReason::kWoken, "no wake");
    look("a wait that a fiber ended");
    Await(waker);

    std::thread thread([this, &word] {
      while (io_.FutexWake(word, 1) == 0) sched_yield();
    });
    Expect(io_.FutexWait(word, 0, {}) == WakeReason::kWoken, "no wake");
    look("a wait that a thread ended");
    thread.join();

    const MonotonicTime soon = io_.Now() + kSoon;
    Expect(io_.FutexWait(word, 0, {.deadline = soon}) == WakeReason::kDeadline,
           "a timed wait ended too early");
    look("a timed wait");

    CancelScope scope(io_);
    Task* const canceller = SpawnCanceller(scope);
    Expect(io_.FutexWait(word, 0, {}) == WakeReason::kInterrupted,
           "a wait was not cancelled");
    look("a cancelled wait");
    Await(canceller);
  }

  template <class Look>
  [[gnu::always_inline]] void SleepInEveryWay(const Look& look) {
    Expect(Sleep(io_, kSoon).ok(), "no sleep");
    look("a sleep");

    CancelScope scope(io_);
    Task* const canceller = SpawnCanceller(scope);
    Expect(absl::IsCancelled(Sleep(io_, kTooLong)),
           "a sleep was not cancelled");
    look("a cancelled sleep");
    Await(canceller);
  }

  // From the kernel.
  template <class Look>
  [[gnu::always_inline]] void ReadInEveryWay(const Look& look) {
    const Pipe pipe;
    Task* const writer = Spawn([&pipe](EventedRuntime& other) {
      Expect(pipe.Write(other.io_) == 1, "no byte was written");
    });
    Expect(pipe.Read(io_) == 1, "no byte was read");
    look("a read");
    Await(writer);
    {
      const Deadline deadline(io_, kSoon);
      Expect(pipe.Read(io_) == -ETIME, "a read has no deadline");
      look("a timed read");
    }
    CancelScope scope(io_);
    Task* const canceller = SpawnCanceller(scope);
    Expect(pipe.Read(io_) == -ECANCELED, "a read was not cancelled");
    look("a cancelled read");
    Await(canceller);
  }

  template <class Look>
  [[gnu::always_inline]] void SelectInEveryWay(const Look& look) {
    Event<Evented> event;
    Task* const setter =
        Spawn([&event](EventedRuntime& other) { event.Set(other.io_); });
    Expect(Select(io_, OnEvent(event), After(kTooLong)).value() == 0,
           "another branch was chosen");
    look("a select");
    Await(setter);

    event.Reset();
    Expect(Select(io_, OnEvent(event), After(kSoon)).value() == 1,
           "another branch was chosen");
    look("a timed select");

    CancelScope scope(io_);
    Task* const canceller = SpawnCanceller(scope);
    Expect(absl::IsCancelled(Select(io_, OnEvent(event)).status()),
           "a select was not cancelled");
    look("a cancelled select");
    Await(canceller);
  }

  // Await it in the scope.
  Task* SpawnCanceller(CancelScope& scope) {
    return Spawn([&scope](EventedRuntime&) { scope.Cancel(); });
  }

  Evented& io_;
};

template <>
struct RuntimeFor<WeftSwitch> {
  using type = EventedRuntime;
};

}  // namespace weft::switches

#endif  // WEFT_TESTS_SWITCH_ADAPTERS_EVENTED_H_
