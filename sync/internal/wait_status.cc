#include "weft/sync/internal/wait_status.h"

#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/internal/check.h"
#include "weft/runtime/status.h"

namespace weft::internal {

absl::Status WaitStatus(const Task& task, WakeReason reason, const char* what) {
  switch (reason) {
    case WakeReason::kWoken:
    case WakeReason::kValueDiffered:
      return absl::OkStatus();
    case WakeReason::kDeadline:
      return InterruptionStatus(Interruption::kDeadline, what);
    case WakeReason::kInterrupted:
      break;
  }
  const Interruption interruption = task.GiveUp();
  WEFT_CHECK(interruption != Interruption::kNone);
  return InterruptionStatus(interruption, what);
}

absl::Status CheckScopes(const Task& task, const char* what) {
  const Interruption interruption = task.GiveUp();
  if (interruption == Interruption::kNone) return absl::OkStatus();
  // Or a loop that takes the error for a reason to try again would never come
  // to a point at which an explorer can end it.
  ReachCancelPoint();
  return InterruptionStatus(interruption, what);
}

}  // namespace weft::internal
