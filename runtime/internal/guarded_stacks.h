// Which stack an address lies in, and whose it is; above all for a handler of
// the fault in a guard.
#ifndef WEFT_RUNTIME_INTERNAL_GUARDED_STACKS_H_
#define WEFT_RUNTIME_INTERNAL_GUARDED_STACKS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace weft {

class Task;

namespace internal {

// Below each stack. Larger than the largest frame that a compiler makes without
// probing it: GCC and Clang probe each page of a larger one with
// -fstack-clash-protection.
inline constexpr size_t kGuardSize = size_t{16} << 10;

// Who uses a stack: set when its task begins, null once that may be deleted.
// Null where there is only zeroed memory, too.
using StackOwner = std::atomic<const Task*>;

// Stacks of one size, side by side, each with its guard at its lower end.
struct StackRange {
  const std::byte* begin = nullptr;
  size_t count = 0;
  size_t stack_size = 0;  // guard included
  size_t guard_size = 0;
  // Pages are untouched when a task begins, so that those it has touched tell
  // how much it used.
  bool measured = false;
  // Of the first stack; those of the others follow, `stack_size` bytes apart.
  const StackOwner* first_owner = nullptr;
};

// All guarded stacks of this copy of weft.
class GuardedStacks {
 public:
  class Entry;

  // Any thread. The memory must stay until the entry is removed.
  static Entry& Add(const StackRange& range);
  static void Remove(Entry& entry);

  struct Found {
    const Task* task = nullptr;  // null: no guard, or nobody's
    size_t stack_size = 0;       // guard included
  };
  // The task whose guard `address` lies in. Async-signal-safe.
  static Found FindGuard(const void* address);

  struct Bounds {
    const std::byte* begin = nullptr;  // guard excluded
    const std::byte* end = nullptr;
    size_t stack_size = 0;  // guard included
    bool measured = false;  // false where there is no such stack, too
  };
  // The stack that `address` lies in.
  static Bounds FindStack(const void* address);
};

}  // namespace internal
}  // namespace weft

#endif  // WEFT_RUNTIME_INTERNAL_GUARDED_STACKS_H_
