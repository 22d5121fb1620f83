// Stacks of several sizes: one StackPool for what most tasks have, and one for
// each power of two that a task was given instead.
//
// **Threads.** All members may be called from any thread.
#ifndef WEFT_RUNTIME_FIBER_STACK_POOLS_H_
#define WEFT_RUNTIME_FIBER_STACK_POOLS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>

#include "absl/status/status.h"
#include "weft/runtime/fiber/stack_pool.h"

namespace weft::internal {

// Sizes are bytes of address space, guard included, and 0 is the usual one;
// others are between kLeastStackSize and kMostStackSize.
class StackPools {
 public:
  explicit StackPools(size_t usual_size, StackPages pages = StackPages::kKept);

  // As the members of StackPool, of a stack of at least `size`.
  absl::Status Reserve(size_t size);
  Stack Take(size_t size) { return PoolFor(size).Take(); }
  void Give(const Stack& stack) { stack.pool->Give(stack); }
  void Trim();
  bool HasExcess() const;

 private:
  size_t IndexFor(size_t size) const;
  StackPool& PoolFor(size_t size) { return pools_[IndexFor(size)]; }

  const size_t usual_size_;
  // The usual one; then one for each power of two.
  std::deque<StackPool> pools_;
  // Bit i: somebody has used pool i. Only to pass over the others quickly.
  std::atomic<uint32_t> used_{0};
};

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_FIBER_STACK_POOLS_H_
