// The scheduler of Sim: which of the tasks runs, and what time it is.
//
// One thread runs all fibers. The fiber that runs calls Reach wherever another
// task could run instead of it, and a strategy decides; so it does when the
// fiber cannot go on. The switch goes straight from fiber to fiber. Only when
// no fiber can run does the clock move: it jumps to the next timer. Where
// there is none, nothing can ever run again.
//
// **The end of a schedule.** Either every task has ended. Or the schedule is
// abandoned, because it has failed in a way that leaves nothing to go on with
// (a deadlock, a failed check ...): the fibers are left where they stand, for
// ever. Nothing unwinds them, for an unwinding would run code of the user in
// a state that he never foresaw; their stacks and all that hangs on them stay
// allocated. A schedule is abandoned only when it fails, and an exploration
// ends with its first failure.
#ifndef WEFT_BACKENDS_SIM_INTERNAL_SCHEDULER_H_
#define WEFT_BACKENDS_SIM_INTERNAL_SCHEDULER_H_

#include <array>
#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <typeinfo>
#include <vector>

#include "absl/status/status.h"
#include "weft/backends/sim/failure.h"
#include "weft/backends/sim/internal/fault_injector.h"
#include "weft/backends/sim/internal/fiber.h"
#include "weft/backends/sim/internal/history.h"
#include "weft/backends/sim/internal/ownership.h"
#include "weft/backends/sim/internal/trace.h"
#include "weft/backends/sim/internal/world.h"
#include "weft/backends/sim/strategy.h"
#include "weft/backends/sim/switch_faults.h"
#include "weft/runtime/fiber/stack_pools.h"
#include "weft/runtime/internal/crash_handlers.h"
#include "weft/runtime/internal/current.h"
#include "weft/runtime/internal/explorer.h"
#include "weft/runtime/internal/rng.h"
#include "weft/runtime/io.h"

namespace weft::sim {

struct Limits {
  size_t stack_size = 0;
  uint32_t max_tasks = 0;
  bool report_overflow = false;
  bool measure_stacks = false;
  uint64_t unfair_steps = 0;  // after which the strategy is not asked any more
  uint64_t max_steps = 0;     // after which a schedule is a livelock
};

// How to run one schedule.
struct Plan {
  Strategy& strategy;
  uint64_t seed = 0;
  // Filled if given.
  Trace* trace = nullptr;
  // Makes faults, if given; it has begun.
  FaultInjector* faults = nullptr;
  SwitchFaultOptions switch_faults = {
      .errno_marker = false, .late_results = false, .poison_stacks = false};
  // A failed check of weft is a failure of the schedule; otherwise it ends the
  // program, as on other backends.
  bool survive_checks = false;
};

// What a task waits for inside of an operation.
struct BlockedOn {
  const void* object = nullptr;
  const char* what = "";  // the operation
  MonotonicTime deadline = kNever;
};

// One waiter of an object was notified.
struct Notice {
  uint64_t step = 0;
  uint32_t by = 0;                // a task
  std::optional<uint32_t> woken;  // none: nobody waited
};

class Scheduler final : public internal::Explorer {
 public:
  Scheduler(Io& io, const Limits& limits);
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;
  ~Scheduler();

  // Before the first Run.
  void SetWorld(World& world) { world_ = &world; }

  // Runs `root` and every task that it starts, until all have ended or the
  // schedule is abandoned. RESOURCE_EXHAUSTED if there is no stack for `root`.
  absl::Status Run(Task& root, const Plan& plan);

  // --- Of the task that runs ----------------------------------------------

  // A scheduling point: others may run before this returns.
  void Reach(PointKind kind, const void* object);

  // After an operation: a scheduling point, or not.
  void ReachAfterOperation();

  absl::Status Start(Task& task);
  void Interrupt(Task& task);
  void Yield();
  WakeReason FutexWait(const std::atomic<uint32_t>& word, uint32_t expected,
                       const FutexWaitOptions& options);
  uint32_t FutexWake(const std::atomic<uint32_t>& word, uint32_t count);
  absl::Status SleepUntil(MonotonicTime when);

  // Waits until WakeBlocked, the deadline or an interruption of the scope.
  WakeReason Block(const BlockedOn& on);
  // Wakes all that wait on `object`. Not a scheduling point.
  void WakeBlocked(const void* object);

  // Around a call on the network: with which errno it is to fail, or 0; and
  // that it has succeeded.
  int FaultAt(const char* call) {
    return faults_ == nullptr ? 0 : faults_->AtCall(*this, call);
  }
  void CallSucceeded(const char* call);

  // The first failure of a schedule is kept. Does not end it.
  void Fail(FailureKind kind, std::string_view text);

  // As Explorer asks.
  void Point(const void* object) override;
  void WaitForLock(const void* lock) override;
  void LockReleased(const void* lock) override;
  void CancelPoint() override;
  uint64_t NumberLock() override { return ++locks_; }
  void CheckFailed(std::string_view line) override;
  void BeginWait(const internal::Awaited& awaited) override;
  void EndWait(const internal::Awaited& awaited) override;
  void Acquired(const internal::Held& held) override;
  void Releasing(const void* object, uint32_t count) override;
  void Gone(const void* object) override { ownership_.Forget(object); }
  void Notified(const void* object, const Task* woken) override;

  // --- Outside of tasks, too ----------------------------------------------

  // Counts as a step while a task runs, so that a loop that waits for the
  // clock ends.
  MonotonicTime ReadClock();
  uint64_t Random() { return random_.Next(); }

  // Of the schedule that runs or has ended.
  const std::optional<Failure>& failure() const { return failure_; }
  const History& history() const { return history_; }
  const std::vector<TaskProgress>& tasks() const { return tasks_; }
  uint64_t steps() const { return steps_; }
  bool turned_fair() const { return steps_ > limits_.unfair_steps; }
  uint64_t seed() const { return seed_; }
  const Limits& limits() const { return limits_; }
  // Null outside of tasks.
  Fiber* running() const { return running_; }
  // By number; null for those that have ended.
  const std::vector<Fiber*>& fibers() const { return fibers_; }
  MonotonicTime now() const { return now_; }
  const Ownership& ownership() const { return ownership_; }
  // The last one of `object`; null if there was none, or nobody traces.
  const Notice* NoticeOf(const void* object) const;
  const SwitchFaultOptions& switch_faults() const { return switch_faults_; }
  // Empty without faults.
  std::string_view fault_token() const {
    return faults_ == nullptr ? std::string_view() : faults_->token();
  }

  // --- For faults ---------------------------------------------------------

  uint32_t AliveBesideBody() const;
  // Of the scope of the task that runs, or else the next time anybody waits
  // for; kNever if there is none.
  MonotonicTime NextDeadline() const;
  void AdvanceTo(MonotonicTime when);

  uint32_t NumberOf(const void* object) { return objects_.Of(object); }

 private:
  using WaitQueue =
      boost::intrusive::list<Wait, boost::intrusive::constant_time_size<false>>;
  using Timers =
      boost::intrusive::multiset<Wait,
                                 boost::intrusive::constant_time_size<false>>;
  static constexpr size_t kQueueBits = 6;

  static void FiberMain(void* fiber);

  // Takes those of an abandoned schedule off the registry, which would keep
  // them for ever.
  void ForgetTasks();
  void Reset(const Plan& plan);
  absl::Status MakeFiber(Task& task);
  uint32_t RoleOf(const Task& task);
  void EndFiber(Fiber& fiber);
  // After each switch: frees the fiber that ended just before.
  void ReclaimEnded() {
    if (ended_ != nullptr) ReclaimFiber();
  }
  void ReclaimFiber();

  void CountStep(PointKind kind, const void* object);
  // Asks the strategy, if there is a choice.
  Fiber& Choose(PointKind kind, const std::vector<uint32_t>& candidates);
  // Who runs next when the running fiber cannot go on. May be the same fiber
  // again, if the clock has jumped to the end of its wait.
  Fiber& ChooseAfter(PointKind kind, const void* object);
  void SwitchTo(Fiber& next);
  void SetRunning(Fiber* fiber);

  // Waits in `wait`, which somebody will end, and returns why it ended.
  WakeReason Park(Wait& wait);
  void Wake(Wait& wait, WakeReason reason);
  uint32_t WakeAll(Wait::Kind kind, const void* address, uint32_t count);
  WaitQueue& QueueOf(const void* address);
  // When something happens next if no task runs.
  MonotonicTime NextTime() const;
  // Makes those ready whose time comes next.
  void AdvanceClock();
  void MakeRunnable(Fiber& fiber);
  void MakeNotRunnable(Fiber& fiber);

  [[noreturn]] void Abandon(FailureKind kind, std::string_view text);
  [[noreturn]] void AbandonIdle();
  // Abandons the schedule if `fiber`, which has just begun to wait, waits for
  // something that cannot come any more, whoever runs.
  void CheckCircle(const Fiber& fiber);
  // The same for those who wait for a lock that a task has kept to its end.
  void CheckKeptLocks(uint32_t ended);
  [[noreturn]] void AbandonCircle(const std::vector<uint32_t>& circle);

  Io& io_;
  World* world_ = nullptr;
  const Limits limits_;
  std::optional<internal::CrashHandlers> crash_handlers_;
  std::unique_ptr<internal::StackPools> stacks_;
  bool any_abandoned_ = false;

  // The schedule.
  Strategy* strategy_ = nullptr;
  uint64_t seed_ = 0;
  Trace* trace_ = nullptr;
  FaultInjector* faults_ = nullptr;
  SwitchFaultOptions switch_faults_;
  internal::Rng late_results_{0};  // which operations have one
  int* error_ = nullptr;           // errno, if it is to be marked
  bool survive_checks_ = false;
  internal::Rng random_{0};  // what the tasks ask for
  internal::Rng fair_{0};    // who runs once the schedule is fair
  History history_;
  std::optional<Failure> failure_;
  ObjectNumbers objects_;

  // The tasks, by number. Fibers are null once they have ended.
  std::vector<TaskProgress> tasks_;
  std::vector<Fiber*> fibers_;
  // By role; in no particular order, and kept for the next schedule.
  std::vector<const std::type_info*> roles_;
  uint32_t alive_ = 0;
  uint32_t unfinished_ = 0;         // those of them whose end is not announced
  std::vector<uint32_t> runnable_;  // ascending; with the running one
  std::vector<uint32_t> others_;    // scratch of Yield
  Fiber* running_ = nullptr;
  Fiber* ended_ = nullptr;
  internal::Context* main_ = nullptr;     // of the thread that called Run
  internal::Current* current_ = nullptr;  // of that thread
  int32_t thread_id_ = 0;                 // of that thread

  // Time and waits.
  MonotonicTime now_;
  Timers timers_;
  // Who waits on an address, by a hash of it; first come, first served.
  std::array<WaitQueue, size_t{1} << kQueueBits> queues_;

  Ownership ownership_;
  uint32_t joins_ = 0;                     // waits for the end of others
  std::map<const void*, Notice> notices_;  // kept for a trace only

  uint64_t steps_ = 0;
  uint64_t locks_ = 0;        // made
  uint32_t idle_yields_ = 0;  // since the set of runnable tasks has changed
};

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_INTERNAL_SCHEDULER_H_
