#include "weft/runtime/scope.h"

#include <algorithm>

#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/internal/check.h"
#include "weft/runtime/io.h"
#include "weft/runtime/status.h"
#include "weft/runtime/task.h"

namespace weft {

CancelScope::CancelScope(Io& io) : CancelScope(io, kNever, false) {}

CancelScope::CancelScope(Io& io, MonotonicTime deadline, bool shield)
    : io_(io), task_(io.CurrentTask("opening a scope")) {
  link_.parent = task_.scope_;
  link_.shield = shield;
  link_.own_deadline = deadline;
  link_.deadline =
      shield ? deadline : std::min(deadline, task_.scope_->deadline);
  task_.scope_ = &link_;
}

CancelScope::~CancelScope() {
  if (task_.scope_ != &link_ || &io_.CurrentTask("closing a scope") != &task_) {
    internal::Misuse(
        "a scope was closed while a scope inside it is open, or by another "
        "task; close scopes in the reverse order of opening, in the task that "
        "opened them");
  }
  task_.scope_ = link_.parent;
}

void CancelScope::Cancel() {
  internal::ReachCancelPoint();
  // Pairs with the load in Task::Interrupted.
  link_.cancelled.store(true, std::memory_order_seq_cst);
  io_.Interrupt(task_);
}

Deadline::Deadline(Io& io, Duration timeout)
    : Deadline(io, After(io.Now(), timeout)) {}

Deadline::Deadline(Io& io, MonotonicTime when)
    : CancelScope(io, when, /*shield=*/false) {}

Shield::Shield(Io& io) : CancelScope(io, kNever, /*shield=*/true) {}

absl::Status CheckCancelled(Io& io) {
  internal::ReachCancelPoint();
  return internal::InterruptionStatus(io.CurrentTask("CheckCancelled").GiveUp(),
                                      "check");
}

}  // namespace weft
