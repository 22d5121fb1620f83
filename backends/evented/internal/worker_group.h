// The workers of one Evented and what they share.
#ifndef WEFT_BACKENDS_EVENTED_INTERNAL_WORKER_GROUP_H_
#define WEFT_BACKENDS_EVENTED_INTERNAL_WORKER_GROUP_H_

#include <atomic>
#include <cstdint>
#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "weft/backends/evented/internal/watchdog.h"
#include "weft/backends/evented/internal/worker.h"
#include "weft/runtime/fiber/stack_pools.h"
#include "weft/runtime/internal/crash_handlers.h"
#include "weft/runtime/internal/task_inspection.h"
#include "weft/runtime/io.h"

namespace weft::internal {

struct WorkerGroupOptions {
  uint32_t workers;
  uint32_t ring_entries;
  size_t stack_size;
  uint32_t max_tasks;  // UINT32_MAX: no limit
  bool report_overflow;
  bool measure_stacks;
  uint64_t perturb_seed;  // 0: no perturbation
  Duration watchdog;      // 0: none
  int dump_signal;        // 0: none
};

class WorkerGroup {
 public:
  WorkerGroup(Io& io, const WorkerGroupOptions& options);
  WorkerGroup(const WorkerGroup&) = delete;
  WorkerGroup& operator=(const WorkerGroup&) = delete;
  // Stops and joins the workers. All tasks must have ended.
  ~WorkerGroup();

  // Starts all workers, or none: the first error of any is returned.
  absl::Status Start();

  // Places a task. RESOURCE_EXHAUSTED when a stack or max_tasks refuses it.
  // Any thread.
  absl::Status StartTask(Task& task);
  // A task has ended, though its end is not announced yet.
  void TaskEnded() { tasks_.fetch_sub(1, std::memory_order_relaxed); }

  // --- For workers --------------------------------------------------------

  Io& io() { return io_; }
  const WorkerGroupOptions& options() const { return options_; }
  StackPools& stacks() { return stacks_; }
  bool stopping() const { return stopping_.load(std::memory_order_seq_cst); }
  const std::vector<std::unique_ptr<Worker>>& workers() const {
    return workers_;
  }
  // Bracket a wait for work: between them, a task that is left unstarted
  // somewhere wakes the worker.
  void BeginIdle() { idle_.fetch_add(1, std::memory_order_seq_cst); }
  void EndIdle() {
    // A partner of HasToLook of the watchdog.
    idle_.fetch_sub(1, std::memory_order_seq_cst);
    watchdog_->Wake();
  }
  bool AllIdle() const {
    return idle_.load(std::memory_order_seq_cst) == workers_.size();
  }

  std::string DescribeDriver() const;

  // As Io::Inspect.
  void Inspect(const std::shared_ptr<TaskInspection>& inspection);

 private:
  struct StartUp;

  void Serve(Worker& worker, const std::shared_ptr<StartUp>& start_up);
  Worker& Place();
  void WakeOneIdle();
  // Reports the tasks of workers that did not.
  void ReportUnanswered(InspectionRequest& request);

  Io& io_;
  const WorkerGroupOptions options_;
  std::optional<CrashHandlers> crash_handlers_;
  StackPools stacks_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::thread> threads_;
  std::unique_ptr<Watchdog> watchdog_;
  std::atomic<bool> stopping_{false};
  // Workers close their drivers after it: until then they may be notified.
  std::latch stop_announced_{1};
  std::atomic<uint32_t> tasks_{0};
  std::atomic<uint32_t> idle_{0};
  std::atomic<uint32_t> next_{0};  // for placing in turn
};

}  // namespace weft::internal

#endif  // WEFT_BACKENDS_EVENTED_INTERNAL_WORKER_GROUP_H_
