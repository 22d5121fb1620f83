// What a report of an overflow has to know of the stack of a thread.
#ifndef WEFT_BACKENDS_THREADED_INTERNAL_THREAD_STACK_H_
#define WEFT_BACKENDS_THREADED_INTERNAL_THREAD_STACK_H_

#include <cstddef>

#include "weft/runtime/internal/guarded_stacks.h"
#include "weft/runtime/internal/signal_stack.h"

namespace weft::internal {

// Registers the stack of the calling thread and gives it an alternate signal
// stack, while it lives. Made and destroyed by that thread, which has a guard
// of its own.
class ThreadStack {
 public:
  ThreadStack();
  ThreadStack(const ThreadStack&) = delete;
  ThreadStack& operator=(const ThreadStack&) = delete;
  ~ThreadStack();

  // Whom a report names.
  void SetOwner(const Task* task) {
    owner_.store(task, std::memory_order_release);
  }

 private:
  const SignalStack signal_stack_;
  StackOwner owner_{nullptr};
  GuardedStacks::Entry* entry_ = nullptr;  // null: nothing known of the stack
};

}  // namespace weft::internal

#endif  // WEFT_BACKENDS_THREADED_INTERNAL_THREAD_STACK_H_
