#include "weft/runtime/internal/guarded_stacks.h"

#include <mutex>

namespace weft::internal {

// Recycled and never freed, so that a handler may walk the list at any moment.
class GuardedStacks::Entry {
 public:
  StackRange range;  // while `used`
  // Release by Add, acquire by FindGuard: the range is complete.
  std::atomic<bool> used{false};
  Entry* next = nullptr;       // of all; does not change
  Entry* next_free = nullptr;  // guarded by mutex
};

namespace {

std::mutex mutex;
GuardedStacks::Entry* free_entries = nullptr;  // guarded by mutex
// Release by Add, acquire by FindGuard: the entry is complete.
std::atomic<GuardedStacks::Entry*> all_entries{nullptr};

}  // namespace

GuardedStacks::Entry& GuardedStacks::Add(const StackRange& range) {
  const std::lock_guard lock(mutex);
  Entry* entry = free_entries;
  if (entry != nullptr) {
    free_entries = entry->next_free;
  } else {
    entry = new Entry();
    entry->next = all_entries.load(std::memory_order_relaxed);
    all_entries.store(entry, std::memory_order_release);
  }
  entry->range = range;
  entry->used.store(true, std::memory_order_release);
  return *entry;
}

void GuardedStacks::Remove(Entry& entry) {
  const std::lock_guard lock(mutex);
  entry.used.store(false, std::memory_order_relaxed);
  entry.next_free = free_entries;
  free_entries = &entry;
}

namespace {

struct Place {
  const StackRange* range = nullptr;  // null: no stack
  size_t index = 0;
  const std::byte* begin() const {
    return range->begin + index * range->stack_size;
  }
};

// The stack that `address` lies in. Async-signal-safe.
Place Find(const void* address) {
  const auto wanted = reinterpret_cast<uintptr_t>(address);
  for (const GuardedStacks::Entry* entry =
           all_entries.load(std::memory_order_acquire);
       entry != nullptr; entry = entry->next) {
    if (!entry->used.load(std::memory_order_acquire)) continue;
    const StackRange& range = entry->range;
    const auto begin = reinterpret_cast<uintptr_t>(range.begin);
    if (wanted < begin || wanted - begin >= range.count * range.stack_size) {
      continue;
    }
    return {.range = &range, .index = (wanted - begin) / range.stack_size};
  }
  return {};
}

}  // namespace

GuardedStacks::Found GuardedStacks::FindGuard(const void* address) {
  const Place place = Find(address);
  if (place.range == nullptr) return {};
  const StackRange& range = *place.range;
  const auto* const at = static_cast<const std::byte*>(address);
  if (at - place.begin() >= static_cast<std::ptrdiff_t>(range.guard_size)) {
    return {};
  }
  const auto* const owner = reinterpret_cast<const StackOwner*>(
      reinterpret_cast<const std::byte*>(range.first_owner) +
      place.index * range.stack_size);
  return {.task = owner->load(std::memory_order_acquire),
          .stack_size = range.stack_size};
}

GuardedStacks::Bounds GuardedStacks::FindStack(const void* address) {
  const Place place = Find(address);
  if (place.range == nullptr) return {};
  const StackRange& range = *place.range;
  return {.begin = place.begin() + range.guard_size,
          .end = place.begin() + range.stack_size,
          .stack_size = range.stack_size,
          .measured = range.measured};
}

}  // namespace weft::internal
