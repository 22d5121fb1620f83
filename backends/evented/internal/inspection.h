// An inspection of the tasks of an Evented: each worker reports its own, for
// only it knows that its fibers stay where they are meanwhile.
#ifndef WEFT_BACKENDS_EVENTED_INTERNAL_INSPECTION_H_
#define WEFT_BACKENDS_EVENTED_INTERNAL_INSPECTION_H_

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "weft/runtime/clock.h"
#include "weft/runtime/internal/task_inspection.h"

namespace weft::internal {

class Worker;

// Outlives the one who asked, for the sake of a worker that answers late.
class InspectionRequest {
 public:
  InspectionRequest(std::shared_ptr<TaskInspection> results, size_t workers)
      : results_(std::move(results)), answered_(workers) {}

  TaskInspection& results() { return *results_; }
  // Worker `index` has reported its tasks.
  void Answered(uint32_t index);
  // Blocks the thread until all have or `span` has passed; true if all have.
  bool Await(Duration span);
  bool HasAnswered(uint32_t index);

 private:
  const std::shared_ptr<TaskInspection> results_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<bool> answered_;  // guarded by mutex_
};

// What a worker was asked for.
class InspectionQueue {
 public:
  // Any thread.
  void Post(std::shared_ptr<InspectionRequest> request);
  bool empty() const { return !posted_.load(std::memory_order_relaxed); }
  std::vector<std::shared_ptr<InspectionRequest>> Take();

 private:
  // Requests are there; set and read in the order of Worker's notifications.
  std::atomic<bool> posted_{false};
  std::mutex mutex_;
  std::vector<std::shared_ptr<InspectionRequest>> requests_;
};

}  // namespace weft::internal

#endif  // WEFT_BACKENDS_EVENTED_INTERNAL_INSPECTION_H_
