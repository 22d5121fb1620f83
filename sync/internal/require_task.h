// The current task, without a virtual call where the caller is what it should
// be.
#ifndef WEFT_SYNC_INTERNAL_REQUIRE_TASK_H_
#define WEFT_SYNC_INTERNAL_REQUIRE_TASK_H_

#include "weft/runtime/internal/current.h"
#include "weft/runtime/io.h"

namespace weft::internal {

// The task that runs now. Ends the program with a message that names `call`
// unless it is a task of `io`.
inline Task& RequireTask(Io& io, const char* call) {
  return current.io == &io ? *current.task : io.CurrentTask(call);
}

}  // namespace weft::internal

#endif  // WEFT_SYNC_INTERNAL_REQUIRE_TASK_H_
