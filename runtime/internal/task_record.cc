#include "weft/runtime/internal/task_record.h"

#include <type_traits>

#include "weft/runtime/internal/explorer.h"

namespace weft::internal {

WaitDescription TaskRecord::FutexWaitOn(const void* word) const {
  if (awaited == nullptr) return {.what = "word", .object = word};
  return {
      .what = awaited->what, .object = awaited->object, .task = awaited->task};
}

constinit TaskRegistry::Shard TaskRegistry::shards[kShards];

void TaskRegistry::Enter(TaskRecord& record, const void* instance,
                         const char* backend) {
  record.instance.store(instance, std::memory_order_relaxed);
  record.backend = backend;
  Shard& shard = ShardOf(record);
  const std::lock_guard lock(shard.mutex);
  record.next = shard.first;
  record.previous = nullptr;
  if (shard.first != nullptr) shard.first->previous = &record;
  shard.first = &record;
}

void TaskRegistry::Leave(TaskRecord& record) {
  Shard& shard = ShardOf(record);
  const std::lock_guard lock(shard.mutex);
  (record.previous == nullptr ? shard.first : record.previous->next) =
      record.next;
  if (record.next != nullptr) record.next->previous = record.previous;
}

// What tools/gdb/weft.py reads first. A field that is added goes to the end; a
// change of another kind changes the version.
struct DebugLayout {
  uint64_t version = 1;
  const void* shards = TaskRegistry::shards;
  uint64_t shard_count = TaskRegistry::kShards;
  uint64_t shard_size = sizeof(TaskRegistry::Shard);
  uint64_t shard_first = offsetof(TaskRegistry::Shard, first);
  uint64_t next = offsetof(TaskRecord, next);
  uint64_t id = offsetof(TaskRecord, id);
  uint64_t parent = offsetof(TaskRecord, parent);
  uint64_t name = offsetof(TaskRecord, name);
  uint64_t name_size = offsetof(TaskRecord, name_size);
  uint64_t file = offsetof(TaskRecord, file);
  uint64_t line = offsetof(TaskRecord, line);
  uint64_t backend = offsetof(TaskRecord, backend);
  uint64_t thread = offsetof(TaskRecord, thread);
  uint64_t worker = offsetof(TaskRecord, worker);
  uint64_t stopped_at = offsetof(TaskRecord, stopped_at);
  uint64_t wait_what = offsetof(TaskRecord, wait_what);
  uint64_t wait_object = offsetof(TaskRecord, wait_object);
  uint64_t wait_task = offsetof(TaskRecord, wait_task);
  uint64_t wait_descriptor = offsetof(TaskRecord, wait_descriptor);
};

static_assert(std::is_standard_layout_v<TaskRecord>);

}  // namespace weft::internal

// Found by its name in the symbol table, and used by nothing in the program.
//
// gdb takes what a shared library exports for what the program has under the
// same name. So this is not exported, for there may be a copy of weft in each;
// the other name is what is left of it in a library that was stripped.
extern "C" {
[[gnu::visibility(
    "hidden")]] extern const weft::internal::DebugLayout weft_debug_layout;
[[gnu::used,
  gnu::retain]] constinit const weft::internal::DebugLayout weft_debug_layout{};
[[gnu::visibility("default"),
  gnu::alias("weft_debug_layout")]] extern const weft::internal::DebugLayout
    weft_debug_layout_exported;
}
