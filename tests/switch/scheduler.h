// The smallest scheduler over an adapter that the classes about policy need,
// and what it may get wrong. Each worker is a thread with a queue; a fiber is
// resumed by the worker that started it.
//
// A runtime of its own can stand in its place: RuntimeOf<Switch>, with what is
// public here.
#ifndef WEFT_TESTS_SWITCH_SCHEDULER_H_
#define WEFT_TESTS_SWITCH_SCHEDULER_H_

#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "weft/tests/switch/adapter.h"
#include "weft/tests/switch/alternate_stack.h"

namespace weft::switches {

// What a scheduler must not do.
struct RightPolicy {
  static constexpr bool kMigrates = false;             // S1
  static constexpr bool kForgetsCurrent = false;       // S7
  static constexpr bool kReadiesBeforeSaved = false;   // S8
  static constexpr bool kIgnoresShadowStacks = false;  // S9
  static constexpr bool kLetsExceptionsOut = false;    // S11
  static constexpr bool kUnwindsParked = false;        // S12
  static constexpr bool kNoAlternateStack = false;     // S15
  static constexpr bool kServesForkedChild = false;    // S16
  static constexpr bool kLocksThreads = false;         // S17
};

template <class Switch, class Policy = RightPolicy>
class Scheduler {
 public:
  using Body = std::function<void(Scheduler&)>;
  struct Task;

  // One fiber waits for it at a time; a notification is kept until then.
  struct Signal {
    Task* waiter = nullptr;
    bool set = false;
  };

  // A lock that fibers may hold while they wait.
  class Mutex {
   public:
    Mutex() {
      pthread_mutexattr_t attributes;
      pthread_mutexattr_init(&attributes);
      // Says so instead of waiting for itself.
      pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
      pthread_mutex_init(&of_threads_, &attributes);
    }

    void Lock(Scheduler& scheduler) {
      if constexpr (Policy::kLocksThreads) {
        Expect(pthread_mutex_lock(&of_threads_) == 0,
               "the worker waits for a lock that its own fiber holds");
      } else {
        while (std::exchange(held_, true)) scheduler.Yield();
      }
    }
    void Unlock(Scheduler&) {
      if constexpr (Policy::kLocksThreads) pthread_mutex_unlock(&of_threads_);
      held_ = false;
    }

   private:
    pthread_mutex_t of_threads_;
    bool held_ = false;
  };

  // Why no worker would start; empty if they would.
  static std::string Refusal() {
    if constexpr (Policy::kIgnoresShadowStacks) return "";
#if defined(__x86_64__)
    uint64_t features = 0;
    constexpr int kStatus = 0x5005;  // ARCH_SHSTK_STATUS
    if (syscall(SYS_arch_prctl, kStatus, &features) == 0 && features != 0) {
      return "this thread has a shadow stack";
    }
#endif
    return "";
  }

  // Runs each body in a fiber on a worker of its own, to their ends.
  static void Run(std::vector<Body> bodies) {
    Scheduler scheduler(bodies.size());
    for (size_t i = 0; i < bodies.size(); ++i) {
      scheduler.Add(i, std::move(bodies[i]));
    }
    scheduler.Serve();
  }
  // Runs the body on one of several workers; what it spawns runs on any.
  static void RunShared(size_t workers, Body body) {
    Scheduler scheduler(workers);
    scheduler.shared_ = true;
    scheduler.Add(0, std::move(body));
    scheduler.Serve();
  }

  // --- In a fiber ----------------------------------------------------------

  // On a stack with that many usable bytes.
  Task* Spawn(Body body, size_t stack_size = kStackSize) {
    return Add(shared_ ? next_.fetch_add(1) : Here().index, std::move(body),
               stack_size);
  }
  // Throws what left the body.
  void Await(Task* task) {
    Join(*task);
    const std::exception_ptr error = task->error;
    Forget(*task);
    if (error != nullptr) std::rethrow_exception(error);
  }
  // Gives a task up: returns when it is gone.
  void Drop(Task* task) {
    std::unique_lock lock(mutex_);
    task->dropped = true;
    if (task->waits_for != nullptr) {
      task->waits_for->waiter = nullptr;
      Wake(*task);
    }
    lock.unlock();
    Join(*task);
    Forget(*task);
  }

  // False if the fiber was given up.
  bool Wait(Signal& signal) {
    RefuseForkedChild();
    Task& self = *Here().running;
    std::unique_lock lock(mutex_);
    if (std::exchange(signal.set, false)) return true;
    if (self.dropped) return false;
    signal.waiter = &self;
    self.waits_for = &signal;
    self.woken = false;
    self.next = Task::kWaits;
    if constexpr (Policy::kReadiesBeforeSaved) {
      self.parked = true;
      lock.unlock();
      // Until another worker has resumed the fiber, and longer. From here on
      // this thread leaves the stack alone, so that what happens on it is the
      // other's doing.
      __atomic_store_n(&self.in_window, true, __ATOMIC_RELEASE);
      for (;;) asm volatile("");
    }
    lock.unlock();
    self.fiber->Pause();
    if constexpr (Policy::kUnwindsParked) {
      if (self.dropped) throw Unwinding();
    }
    return !self.dropped;
  }
  void Notify(Signal& signal) {
    RefuseForkedChild();
    const std::lock_guard lock(mutex_);
    NotifyLocked(signal);
  }
  void Yield() {
    Task& self = *Here().running;
    self.next = Task::kYields;
    self.fiber->Pause();
  }
  // Pauses in each way there is, all of them in the function of the caller, and
  // calls `after` after each with its name.
  template <class After>
  [[gnu::always_inline]] void PauseInEveryWay(const After& after) {
    Yield();
    after("a yield");
    Signal signal;
    Task* const notifier =
        Spawn([&signal](Scheduler& other) { other.Notify(signal); });
    Wait(signal);
    after("a wait");
    Await(notifier);
    Task* const slow = Spawn([](Scheduler& other) { other.Yield(); });
    Await(slow);
    after("an await");
  }

  // The fiber that runs now, as far as the scheduler knows.
  const void* Current() { return Here().current; }

  struct Task {
    enum Next { kYields, kWaits, kEnds };

    Task(Scheduler& its_scheduler, Body its_body, size_t its_home,
         size_t its_stack_size)
        : scheduler(its_scheduler),
          body(std::move(its_body)),
          home(its_home),
          stack_size(its_stack_size) {}

    Scheduler& scheduler;
    Body body;
    size_t home;
    const size_t stack_size;
    std::optional<typename Switch::Fiber> fiber;
    Next next = kEnds;
    std::exception_ptr error;
    Signal end;
    Signal* waits_for = nullptr;
    bool parked = false;
    bool in_window = false;  // parked, and still on its stack
    bool woken = false;
    bool dropped = false;
    bool ended = false;
  };

 private:
  struct Unwinding {};
  struct Worker {
    size_t index = 0;
    Task* running = nullptr;
    const void* current = nullptr;
    std::deque<Task*> ready;
  };

  explicit Scheduler(size_t workers) : workers_(workers) {
    for (size_t i = 0; i < workers; ++i) workers_[i].index = i;
  }

  // Not to be remembered across a switch by the compiler.
  [[gnu::noinline]] static Worker*& OfThread() {
    static thread_local Worker* worker = nullptr;
    return *Opaque(&worker);
  }
  static Worker& Here() { return *OfThread(); }

  Task* Add(size_t home, Body body, size_t stack_size = kStackSize) {
    RefuseForkedChild();
    const std::lock_guard lock(mutex_);
    Task& task = *tasks_.emplace_back(std::make_unique<Task>(
        *this, std::move(body), home % workers_.size(), stack_size));
    ++alive_;
    workers_[task.home].ready.push_back(&task);
    changed_.notify_all();
    return &task;
  }

  void Serve() {
    std::vector<std::thread> threads;
    for (Worker& worker : workers_) {
      threads.emplace_back([this, &worker] { Loop(worker); });
    }
    for (std::thread& thread : threads) thread.join();
  }

  void Loop(Worker& worker) {
    OfThread() = &worker;
    const AlternateStack alternate_stack(
        Policy::kNoAlternateStack ? 0 : size_t{64} << 10);
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return alive_ == 0 || !worker.ready.empty(); });
      if (worker.ready.empty()) return;
      Task& task = *worker.ready.front();
      worker.ready.pop_front();
      worker.running = &task;
      if (!Policy::kForgetsCurrent || !task.fiber.has_value()) {
        worker.current = &task;
      }
      lock.unlock();
      if (!task.fiber.has_value()) {
        task.fiber.emplace(&Scheduler::Main, &task, task.stack_size);
      } else if constexpr (Policy::kReadiesBeforeSaved) {
        while (task.next == Task::kWaits &&
               !__atomic_load_n(&task.in_window, __ATOMIC_ACQUIRE)) {
          sched_yield();
        }
      }
      task.fiber->Resume();
      lock.lock();
      AfterSwitch(task);
    }
  }

  // The fiber has left its stack.
  void AfterSwitch(Task& task) {
    switch (task.next) {
      case Task::kYields:
        MakeReady(task);
        break;
      case Task::kWaits:
        task.parked = true;
        if (task.woken) MakeReady(task);
        break;
      case Task::kEnds:
        task.fiber.reset();
        task.ended = true;
        NotifyLocked(task.end);
        --alive_;
        changed_.notify_all();
        break;
    }
  }

  void NotifyLocked(Signal& signal) {
    if (Task* const waiter = std::exchange(signal.waiter, nullptr)) {
      Wake(*waiter);
    } else {
      signal.set = true;
    }
  }
  void Wake(Task& task) {
    task.waits_for = nullptr;
    task.woken = true;
    if (task.parked) MakeReady(task);
  }
  void MakeReady(Task& task) {
    task.parked = false;
    if (Policy::kMigrates) ++task.home;
    // The one that is idle, if any is.
    if (Policy::kReadiesBeforeSaved) task.home = workers_.size() - 1;
    workers_[task.home % workers_.size()].ready.push_back(&task);
    changed_.notify_all();
  }

  void Join(Task& task) {
    // Not to be given up by a waiter that was itself.
    while (!Ended(task)) {
      if (!Wait(task.end)) Yield();
    }
  }
  bool Ended(const Task& task) {
    const std::lock_guard lock(mutex_);
    return task.ended;
  }
  void Forget(Task& task) {
    const std::lock_guard lock(mutex_);
    std::erase_if(tasks_,
                  [&](const auto& other) { return other.get() == &task; });
  }

  static void Main(void* argument) {
    Task& task = *static_cast<Task*>(argument);
    if constexpr (Policy::kLetsExceptionsOut) {
      task.body(task.scheduler);
    } else {
      try {
        task.body(task.scheduler);
      } catch (...) {
        task.error = std::current_exception();
        FilledByLibrary(task.error);
      }
    }
    task.next = Task::kEnds;
  }

  // Its workers are threads, which a child after fork does not have.
  void RefuseForkedChild() {
    if (Policy::kServesForkedChild) return;
    Expect(getpid() == process_, "the runtime was used in a forked child");
  }

  const pid_t process_ = getpid();
  std::vector<Worker> workers_;
  bool shared_ = false;
  std::atomic<size_t> next_{1};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Task>> tasks_;
  size_t alive_ = 0;
};

// The runtime that belongs to a switch.
template <class Switch>
struct RuntimeFor {
  using type = Scheduler<Switch>;
};
template <class Switch>
using RuntimeOf = typename RuntimeFor<Switch>::type;

}  // namespace weft::switches

#endif  // WEFT_TESTS_SWITCH_SCHEDULER_H_
