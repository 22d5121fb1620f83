// weft's own runtime on weft's own switch: the classes that are about policy
// run on it in place of the suite's scheduler.
#ifndef WEFT_TESTS_SWITCH_ADAPTERS_EVENTED_H_
#define WEFT_TESTS_SWITCH_ADAPTERS_EVENTED_H_

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "weft/backends/evented/evented.h"
#include "weft/runtime/future.h"
#include "weft/sync/mutex.h"
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
    Task(Evented& io, Body body)
        : future_(*Concurrent(io, [body = std::move(body)](Evented& its_io) {
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

  Task* Spawn(Body body) { return new Task(io_, std::move(body)); }
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

  static constexpr int kWays = 4;
  void WaitThe(int way) {
    switch (way) {
      case 0:
        return Yield();
      case 1: {
        Signal signal;
        Task* const task =
            Spawn([&signal](EventedRuntime& other) { other.Notify(signal); });
        Wait(signal);
        return Await(task);
      }
      case 2:
        Expect(Sleep(io_, std::chrono::microseconds(100)).ok(), "no sleep");
        return;
      default:
        return WaitForKernel();
    }
  }

  const void* Current() { return &io_.CurrentTask("Current"); }

 private:
  explicit EventedRuntime(Evented& io) : io_(io) {}

  // For a byte that another task writes.
  void WaitForKernel() {
    int ends[2];
    Expect(pipe2(ends, O_CLOEXEC) == 0, "no pipe");
    char byte = 'x';
    Task* const writer = Spawn([&](EventedRuntime& other) {
      const op::WriteAt write{.fd = ends[1], .data = &byte, .size = 1};
      Expect(other.io_.Perform(write) == 1, "no byte was written");
    });
    char read = 0;
    Expect(
        io_.Perform(op::ReadAt{.fd = ends[0], .data = &read, .size = 1}) == 1,
        "no byte was read");
    Await(writer);
    close(ends[0]);
    close(ends[1]);
  }

  Evented& io_;
};

template <>
struct RuntimeFor<WeftSwitch> {
  using type = EventedRuntime;
};

}  // namespace weft::switches

#endif  // WEFT_TESTS_SWITCH_ADAPTERS_EVENTED_H_
