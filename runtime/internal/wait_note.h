// WaitNote: what a task waits for, for dumps, for debuggers, and for a backend
// that looks for deadlocks.
#ifndef WEFT_RUNTIME_INTERNAL_WAIT_NOTE_H_
#define WEFT_RUNTIME_INTERNAL_WAIT_NOTE_H_

#include "weft/runtime/internal/current.h"
#include "weft/runtime/internal/explorer.h"
#include "weft/runtime/task.h"

namespace weft::internal {

// Stands around one FutexWait or more; within another note it says nothing.
// Only the task's own thread.
class WaitNote {
 public:
  explicit WaitNote(const Awaited& awaited) : awaited_(awaited) {
    Task* const task = current.task;
    if (task == nullptr || task->record.awaited != nullptr) return;
    record_ = &task->record;
    record_->awaited = &awaited_;
    if (current_explorer != nullptr) current_explorer->BeginWait(awaited_);
  }
  ~WaitNote() {
    if (record_ == nullptr) return;
    if (current_explorer != nullptr) current_explorer->EndWait(awaited_);
    record_->awaited = nullptr;
  }
  WaitNote(const WaitNote&) = delete;
  WaitNote& operator=(const WaitNote&) = delete;

 private:
  const Awaited awaited_;
  TaskRecord* record_ = nullptr;
};

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_INTERNAL_WAIT_NOTE_H_
