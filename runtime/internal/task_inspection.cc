#include "weft/runtime/internal/task_inspection.h"

#include <utility>

#include "weft/runtime/source_location.h"

namespace weft::internal {

TaskSnapshot::TaskSnapshot(const TaskRecord& record)
    : id(record.id),
      parent(record.parent),
      name(record.name, record.name_size),
      thread(record.thread.load(std::memory_order_relaxed)),
      worker(record.worker.load(std::memory_order_relaxed)),
      is_fiber(record.stopped_at.load(std::memory_order_relaxed) != nullptr) {
  if (record.file != nullptr) {
    place = ToString(SourceLocation{record.file, record.line});
  }
  const char* const what = record.wait_what.load(std::memory_order_relaxed);
  waits = what != nullptr;
  if (waits) wait = record.Wait(what);
}

void TaskInspection::Add(TaskSnapshot snapshot) {
  const std::lock_guard lock(mutex_);
  const uint64_t id = snapshot.id;
  tasks_.insert_or_assign(id, std::move(snapshot));
}

std::map<uint64_t, TaskSnapshot> TaskInspection::Take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(tasks_, {});
}

}  // namespace weft::internal
