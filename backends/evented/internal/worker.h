// A worker: one OS thread with a run queue, a driver and timers.
//
// A turn of its loop takes what other threads have left for it, gives started
// tasks a stack, runs ready fibers first in, first out, fires timers and lets
// the driver submit and reap. Fibers switch straight to the next one; after
// kSwitchesPerTurn switches the loop gets its turn, so that no fiber keeps the
// ring waiting. A started fiber never leaves its worker; idle workers steal
// tasks that have not started.
//
// With a Perturbation, which is for tests, the order is drawn from its seed.
#ifndef WEFT_BACKENDS_EVENTED_INTERNAL_WORKER_H_
#define WEFT_BACKENDS_EVENTED_INTERNAL_WORKER_H_

#include <time.h>

#include <atomic>
#include <boost/intrusive/set.hpp>
#include <cstdint>
#include <memory>
#include <mutex>

#include "absl/status/status.h"
#include "weft/backends/evented/internal/driver.h"
#include "weft/backends/evented/internal/fiber.h"
#include "weft/backends/evented/internal/inspection.h"
#include "weft/backends/evented/internal/perturbation.h"
#include "weft/runtime/fiber/stopped_backtrace.h"
#include "weft/runtime/internal/current.h"
#include "weft/runtime/internal/task_record.h"
#include "weft/runtime/io.h"
#include "weft/runtime/task.h"

namespace weft::internal {

class WorkerGroup;

class Worker {
 public:
  Worker(WorkerGroup& group, uint32_t index);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  // The worker of the calling thread; null on other threads.
  static Worker* OfThisThread() { return static_cast<Worker*>(current.worker); }

  // --- Own thread ---------------------------------------------------------

  // Opens the driver.
  absl::Status SetUp();
  // Runs until the group stops.
  void Loop();
  // Closes the driver.
  void TearDown();

  // On behalf of the fiber that runs now.
  int64_t Perform(const Operation& operation);
  WakeReason FutexWait(const std::atomic<uint32_t>& word, uint32_t expected,
                       const FutexWaitOptions& options);
  absl::Status SleepUntil(MonotonicTime when);
  void Yield();

  void MakeReady(Fiber& fiber);

  // Reports the tasks here to those who asked for them.
  void AnswerInspections();

  // --- Any thread ---------------------------------------------------------

  void MakeReadyFromAnywhere(Fiber& fiber);
  // Takes over one reference. True if that woke the worker up.
  bool PostTask(Task& task);
  void PostInterrupt(Task& task);
  void PostInspection(const std::shared_ptr<InspectionRequest>& request) {
    inspections_.Post(request);
    Notify();
  }
  // Changes with every switch and every turn.
  uint64_t progress() const {
    return uint64_t{turns_.load(std::memory_order_relaxed)} << 32 |
           switches_left_.load(std::memory_order_relaxed);
  }
  // A task runs here now.
  bool RunsAny() const {
    return running_.load(std::memory_order_relaxed) != nullptr;
  }
  // Of its thread. While it serves.
  Duration ProcessorTime() const;
  int32_t thread_id() const { return thread_id_; }
  // The task of `record` runs here now, if it is a task of this worker.
  bool Runs(const TaskRecord& record) const;
  // Ends the wait in the driver, now or next time; true if it waited now.
  bool Notify();
  // As Notify, but only for a worker that waits now; false otherwise.
  bool NotifyIfWaiting();

  // Tasks here that have not ended; read by others to place tasks.
  uint32_t load() const { return load_.load(std::memory_order_relaxed); }
  // Gives half of the tasks that have not started, at least one.
  TaskQueue GiveUnstarted();
  bool has_unstarted() const {
    return unstarted_count_.load(std::memory_order_seq_cst) > 0;
  }

  WorkerGroup& group() const { return group_; }
  const Driver& driver() const { return *driver_; }
  uint32_t index() const { return index_; }

 private:
  using Timers =
      boost::intrusive::multiset<Park,
                                 boost::intrusive::constant_time_size<false>>;
  enum State : uint32_t { kRunning, kNotified, kWaiting };

  static void FiberMain(void* fiber);

  void TakePosted();
  void HandleInterrupt(Task& task);
  void StartTasks();
  void StartTask(Task& task);
  void RunReady();
  void FireTimers();
  bool Steal();
  void WaitForWork();
  // When the wait for work has to end: the next timer or trim_at_.
  MonotonicTime EndOfWait();

  // After an accept was cancelled. For a connection the kernel wakes one of
  // the accepts that wait; if that was this one, no other knows of it. So takes
  // what there is; else -ECANCELED, or as accept(2).
  int64_t AcceptAfterCancel(const Operation& operation);

  // Waits in `park`, which somebody will end.
  // `what` has everything but the times.
  void ParkFiber(Park& park, WaitDescription what);
  // Leaves the fiber that runs now for the next one, or for the loop.
  void SwitchAway(Fiber& fiber);
  // Picks who runs next and makes it the running one.
  [[gnu::always_inline]] Context& NextContext();
  // Where a fiber waits, or could have: with a perturbation, others may run
  // first, and errno is lost.
  void PerturbWait() {
    if (perturbation_ != nullptr) [[unlikely]]
      Perturb();
  }
  void Perturb();
  // False if every fiber here waits for something.
  bool HasReady() const {
    return !ready_.empty() ||
           (perturbation_ != nullptr && perturbation_->HasFibers());
  }
  Fiber& running() const { return *running_.load(std::memory_order_relaxed); }
  void SetRunning(Fiber* fiber) {
    running_.store(fiber, std::memory_order_relaxed);
    current_->io = fiber == nullptr ? nullptr : io_;
    current_->task = fiber == nullptr ? nullptr : &fiber->task;
  }
  [[noreturn]] void EndFiber(Fiber& fiber);
  // After each switch: frees the fiber that ended just before.
  void ReclaimEnded() {
    if (ended_ != nullptr) [[unlikely]]
      ReclaimFiber();
  }
  void ReclaimFiber();

  WorkerGroup& group_;
  Io* const io_;
  const uint32_t index_;
  std::unique_ptr<Driver> driver_;

  // Own thread.
  Current* current_ = nullptr;  // of this thread; fibers never leave it
  int32_t thread_id_ = 0;       // set in SetUp
  clockid_t processor_clock_;   // set in SetUp
  std::unique_ptr<Context> loop_context_;
  // Written by the own thread only.
  std::atomic<Fiber*> running_{nullptr};
  Fiber* ended_ = nullptr;
  FiberQueue ready_;
  Timers timers_;
  // Written by the own thread only.
  std::atomic<uint32_t> switches_left_{0};
  std::atomic<uint32_t> turns_{0};
  uint32_t next_colour_ = 0;
  // When this turn of the loop began.
  MonotonicTime turn_began_{};
  // When to give back the memory of stacks; kNever while there is none.
  MonotonicTime trim_at_ = kNever;
  const std::unique_ptr<Perturbation> perturbation_;  // mostly null

  StoppedBacktrace stopped_backtrace_;

  // Shared with other threads.
  alignas(64) std::atomic<State> state_{kRunning};
  std::atomic<Fiber*> posted_fibers_{nullptr};     // last in first
  std::atomic<Task*> posted_interrupts_{nullptr};  // last in first
  std::atomic<uint32_t> load_{0};
  std::atomic<uint32_t> unstarted_count_{0};
  std::mutex unstarted_mutex_;
  TaskQueue unstarted_;  // guarded by unstarted_mutex_
  InspectionQueue inspections_;
};

}  // namespace weft::internal

#endif  // WEFT_BACKENDS_EVENTED_INTERNAL_WORKER_H_
