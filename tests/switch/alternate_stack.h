// Where a thread of the suite's scheduler runs signal handlers.
#ifndef WEFT_TESTS_SWITCH_ALTERNATE_STACK_H_
#define WEFT_TESTS_SWITCH_ALTERNATE_STACK_H_

#include <csignal>
#include <cstddef>

#include "weft/tests/switch/adapter.h"
#include "weft/tests/switch/guarded_stack.h"

namespace weft::switches {

// The alternate signal stack of the thread that makes and destroys it, which
// has the one of before afterwards.
class AlternateStack {
 public:
  // 0: none, not even the one that ASan gives to each thread.
  explicit AlternateStack(size_t size) : memory_(size) {
    stack_t stack = {};
    stack.ss_sp = memory_.bottom();
    stack.ss_size = size;
    if (size == 0) stack.ss_flags = SS_DISABLE;
    Expect(sigaltstack(&stack, &before_) == 0, "no alternate stack");
  }
  AlternateStack(const AlternateStack&) = delete;
  AlternateStack& operator=(const AlternateStack&) = delete;
  ~AlternateStack() { sigaltstack(&before_, nullptr); }

 private:
  const GuardedStack memory_;
  stack_t before_ = {};
};

}  // namespace weft::switches

#endif  // WEFT_TESTS_SWITCH_ALTERNATE_STACK_H_
