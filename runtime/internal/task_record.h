// TaskRecord: what debuggers and dumps read of a task that was started.
//
// Records form lists that a debugger can walk in a stopped process or in a core
// file: tools/gdb/weft.py begins at `weft_debug_layout`, which says where each
// field lies, so that it needs no types from the debug information.
//
// **Threads.** The lists are guarded by locks of their own. The atomic fields
// are written by the thread that runs the task, and read by any: each is right
// by itself, and several together while the task does not move.
#ifndef WEFT_RUNTIME_INTERNAL_TASK_RECORD_H_
#define WEFT_RUNTIME_INTERNAL_TASK_RECORD_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "weft/runtime/clock.h"

namespace weft {

class Task;

namespace internal {

struct Awaited;

// What a task waits for.
struct WaitDescription {
  const char* what = "";            // "recv", "mutex" ...; lives for ever
  const void* object = nullptr;     // the primitive or the word, if it is one
  int descriptor = -1;              // of the operation, if it is one
  uint64_t task = 0;                // whose end it waits for, if for that
  MonotonicTime since{};            // right to a turn of the worker
  MonotonicTime deadline = kNever;  // of the wait or its scopes
};

// Standard layout, for weft_debug_layout.
struct TaskRecord {
  void BeginWait(const WaitDescription& wait) {
    constexpr auto kRelaxed = std::memory_order_relaxed;
    wait_object.store(wait.object, kRelaxed);
    wait_descriptor.store(wait.descriptor, kRelaxed);
    wait_task.store(wait.task, kRelaxed);
    wait_since.store(wait.since.time_since_epoch().count(), kRelaxed);
    wait_deadline.store(wait.deadline.time_since_epoch().count(), kRelaxed);
    wait_what.store(wait.what, kRelaxed);
  }
  // The wait in FutexWait: what the note says, or else for `word`.
  WaitDescription FutexWaitOn(const void* word) const;
  void EndWait() { wait_what.store(nullptr, std::memory_order_relaxed); }
  // The wait for `what`, which was read from wait_what.
  WaitDescription Wait(const char* what) const {
    constexpr auto kRelaxed = std::memory_order_relaxed;
    return {.what = what,
            .object = wait_object.load(kRelaxed),
            .descriptor = wait_descriptor.load(kRelaxed),
            .task = wait_task.load(kRelaxed),
            .since = MonotonicTime(Duration(wait_since.load(kRelaxed))),
            .deadline = MonotonicTime(Duration(wait_deadline.load(kRelaxed)))};
  }

  // Links of the list; guarded by its lock.
  TaskRecord* next = nullptr;
  TaskRecord* previous = nullptr;

  // Constant while the record is listed.
  Task* task = nullptr;  // of which it is a part
  uint64_t id = 0;
  uint64_t parent = 0;  // 0: none
  const char* name = nullptr;
  size_t name_size = 0;
  const char* file = nullptr;  // of the spawn place; null: unknown
  int32_t line = 0;
  const char* backend = nullptr;

  // The Io whose task it is at present.
  std::atomic<const void*> instance{nullptr};
  // The thread that runs it, as gettid(2) has it; 0 before the start.
  std::atomic<int32_t> thread{0};
  // The index of the worker; -1 where there are none, and before the start.
  std::atomic<int32_t> worker{-1};
  // Of a task that runs as a fiber: where its context keeps the stack pointer
  // while it is stopped, and null while it runs. Null for a thread.
  std::atomic<void* const*> stopped_at{nullptr};

  // What a WaitNote says; null: there is none. Only the task's own thread.
  const Awaited* awaited = nullptr;

  // As in WaitDescription; null: it does not wait.
  std::atomic<const char*> wait_what{nullptr};
  std::atomic<const void*> wait_object{nullptr};
  std::atomic<uint64_t> wait_task{0};
  std::atomic<int64_t> wait_since{0};
  std::atomic<int64_t> wait_deadline{0};
  std::atomic<int32_t> wait_descriptor{-1};
};

// For the length of a wait.
class RecordedWait {
 public:
  RecordedWait(TaskRecord& record, const WaitDescription& wait)
      : record_(record) {
    record.BeginWait(wait);
  }
  RecordedWait(const RecordedWait&) = delete;
  RecordedWait& operator=(const RecordedWait&) = delete;
  ~RecordedWait() { record_.EndWait(); }

 private:
  TaskRecord& record_;
};

// The records of all tasks of the process that were started and have not
// ended. Any thread.
class TaskRegistry {
 public:
  // `instance` and `backend` are noted in the record, which must not be listed.
  // Does not allocate.
  static void Enter(TaskRecord& record, const void* instance,
                    const char* backend);
  static void Leave(TaskRecord& record);

  // Calls `visit(record)` for every record, in no particular order, under a
  // lock that keeps the records of about as many tasks from coming and going:
  // it must be short and must not park, start or end a task.
  template <class Visit>
  static void ForEach(Visit visit) {
    for (Shard& shard : shards) {
      const std::lock_guard lock(shard.mutex);
      for (TaskRecord* record = shard.first; record != nullptr;
           record = record->next) {
        visit(*record);
      }
    }
  }

 private:
  friend struct DebugLayout;

  // Tasks are spread over several lists, so that workers seldom meet at one.
  struct alignas(64) Shard {
    std::mutex mutex;
    TaskRecord* first = nullptr;  // guarded by mutex
  };
  static constexpr size_t kShards = 16;
  static Shard shards[kShards];

  static Shard& ShardOf(const TaskRecord& record) {
    return shards[record.id % kShards];
  }
};

}  // namespace internal
}  // namespace weft

#endif  // WEFT_RUNTIME_INTERNAL_TASK_RECORD_H_
