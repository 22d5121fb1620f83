// Stacks for fibers: guarded, pooled, committed page by page as they are
// touched.
//
// Stacks are carved from large mappings. Below each lie guard pages that trap
// an overflow: MADV_GUARD_INSTALL where the kernel has it (6.13), which costs
// no mapping of its own, otherwise mprotect, which costs one and so meets
// vm.max_map_count at some 30,000 stacks. That the guards trap is asked of the
// kernel, not believed.
//
// A stack is reserved before it is taken, so that a refusal is known when a
// task is spawned, while the task takes its stack only when it starts.
//
// **Threads.** All members may be called from any thread.
#ifndef WEFT_RUNTIME_FIBER_STACK_POOL_H_
#define WEFT_RUNTIME_FIBER_STACK_POOL_H_

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "weft/runtime/internal/guarded_stacks.h"

namespace weft::internal {

class StackPool;

// The usable part of a stack. Below it lies the guard, above it its owner.
struct Stack {
  std::byte* bottom = nullptr;
  size_t size = 0;
  StackPool* pool = nullptr;  // where it came from

  std::byte* top() const { return bottom + size; }
  // Whom a report of an overflow names.
  void SetOwner(const Task* task) const {
    reinterpret_cast<StackOwner*>(top())->store(task,
                                                std::memory_order_release);
  }
};

enum class StackPages {
  kKept,   // some stacks keep their pages, for the next user
  kFresh,  // every stack begins with untouched pages, so that use is measured
};

// Makes mistakes with what a flow that has ended has left on its stack, which
// lies from `bottom` to `top`, show: the outermost frames are overwritten. What
// lay below was mostly overwritten by the flow itself. With AddressSanitizer,
// each use of the stack is an error until it has a new Context.
void PoisonStack(std::byte* bottom, std::byte* top);

class StackPool {
 public:
  // Each stack takes `stack_size` bytes of address space, guard included.
  explicit StackPool(size_t stack_size, StackPages pages = StackPages::kKept);
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;
  // Unmaps everything. All stacks and reservations must have been given back.
  ~StackPool();

  // Promises one stack. RESOURCE_EXHAUSTED when the kernel refuses memory or
  // mappings.
  absl::Status Reserve();
  // Gives a promise back that was not used.
  void CancelReservation();

  // A stack without owner, against a reservation. Its contents are undefined.
  Stack Take();
  // Gives a stack without owner and its reservation back. The pages of all but
  // a few stacks return to the kernel.
  void Give(Stack stack);

  // Returns the pages that idle stacks keep, but for a handful; for when there
  // is nothing else to do.
  void Trim();
  // True if Trim would return something.
  bool HasExcess() const;

  // Stacks that were taken and not given back.
  uint32_t taken() const;

 private:
  struct Slab {
    void* address;
    size_t size;
    GuardedStacks::Entry* guarded;
  };

  bool Grow();
  bool InstallGuards(std::byte* slab, size_t count);
  // Gives the pages of the stacks back to the kernel.
  void Release(std::span<std::byte* const> bottoms) const;

  const size_t stack_size_;
  const StackPages pages_;
  // How many free stacks keep their pages, and how many after Trim.
  const size_t most_warm_;
  const size_t warm_after_trim_;

  mutable std::mutex mutex_;
  std::vector<Slab> slabs_;
  // Free stacks whose pages may be in memory, and those without pages.
  std::vector<std::byte*> warm_;
  std::vector<std::byte*> cold_;
  size_t total_ = 0;
  size_t reserved_ = 0;  // those taken and those in Release included
  uint32_t taken_ = 0;
  size_t next_slab_;  // stacks in the next slab
  bool guard_by_madvise_ = true;
};

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_FIBER_STACK_POOL_H_
