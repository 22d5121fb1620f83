// What measuring stacks needs of backends; runtime/stack_use.h is for users.
#ifndef WEFT_RUNTIME_INTERNAL_STACK_MEASURE_H_
#define WEFT_RUNTIME_INTERNAL_STACK_MEASURE_H_

#include "absl/status/status.h"
#include "weft/runtime/task.h"

namespace weft::internal {

// FAILED_PRECONDITION where the kernel does not tell which pages are touched.
absl::Status CheckStacksCanBeMeasured();

// Enters the use of the stack that the caller runs on in the report, if it is
// measured. On the stack of `task`, which has ended.
void NoteStackUse(const Task& task);

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_INTERNAL_STACK_MEASURE_H_
