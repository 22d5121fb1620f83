// TaskInspection: what the backend of some tasks found out about each of them,
// for a dump.
#ifndef WEFT_RUNTIME_INTERNAL_TASK_INSPECTION_H_
#define WEFT_RUNTIME_INTERNAL_TASK_INSPECTION_H_

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "weft/runtime/clock.h"
#include "weft/runtime/internal/backtrace.h"
#include "weft/runtime/internal/task_record.h"

namespace weft::internal {

// One task at one moment.
struct TaskSnapshot {
  TaskSnapshot() = default;
  // The record must be kept from leaving its list.
  explicit TaskSnapshot(const TaskRecord& record);

  uint64_t id = 0;
  uint64_t parent = 0;  // 0: none
  std::string name;
  std::string place;    // where it was spawned; empty: unknown
  int32_t thread = 0;   // 0: not started
  int32_t worker = -1;  // -1: none
  bool is_fiber = false;
  bool waits = false;
  WaitDescription wait;  // if it does

  // What only the backend knows.
  bool runs = false;
  Backtrace backtrace;
  std::string no_backtrace;  // why; where there is one: empty
};

// Is filled by the backend, and by its workers if they are asked for it. Any
// thread.
class TaskInspection {
 public:
  void Add(TaskSnapshot snapshot);

  // Gives away what there is, by the ids of the tasks.
  std::map<uint64_t, TaskSnapshot> Take();

 private:
  std::mutex mutex_;
  std::map<uint64_t, TaskSnapshot> tasks_;  // guarded by mutex_
};

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_INTERNAL_TASK_INSPECTION_H_
