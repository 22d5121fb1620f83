// Shadow stacks (CET): on a thread that has one, the processor compares the
// address of each return with a copy that the program cannot write. The switch
// does not exchange the copies, so that the first return after it would kill
// the program.
#ifndef WEFT_RUNTIME_FIBER_SHADOW_STACK_H_
#define WEFT_RUNTIME_FIBER_SHADOW_STACK_H_

#include "absl/status/status.h"

namespace weft::internal {

// FAILED_PRECONDITION if the calling thread has a shadow stack; threads that it
// starts would have one too. For backends that run tasks as fibers, before they
// start.
absl::Status CheckShadowStacks();

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_FIBER_SHADOW_STACK_H_
