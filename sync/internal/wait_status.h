// What the waits of the primitives report.
#ifndef WEFT_SYNC_INTERNAL_WAIT_STATUS_H_
#define WEFT_SYNC_INTERNAL_WAIT_STATUS_H_

#include "absl/status/status.h"
#include "weft/runtime/io.h"

namespace weft::internal {

// The status of a wait that ended with `reason`: OK for kWoken, or CANCELLED
// or DEADLINE_EXCEEDED. `what` is the operation, as in "acquire".
absl::Status WaitStatus(const Task& task, WakeReason reason, const char* what);

// OK, or CANCELLED or DEADLINE_EXCEEDED if the scopes of the task do not let
// it wait. What a call that may park begins with, so that a task that never
// has to wait notices a cancel, too.
absl::Status CheckScopes(const Task& task, const char* what);

}  // namespace weft::internal

#endif  // WEFT_SYNC_INTERNAL_WAIT_STATUS_H_
