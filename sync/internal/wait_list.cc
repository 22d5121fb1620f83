#include "weft/sync/internal/wait_list.h"

#include "weft/runtime/internal/check.h"
#include "weft/runtime/status.h"

namespace weft::internal {

void Parker::Resume(Io& io) {
  const std::atomic<uint32_t>& address = word_;
  // Release pairs with the acquire in Park: the waiter sees what was done to
  // it. From here on the parker may be gone; FutexWake takes an address.
  word_.store(kReady, std::memory_order_release);
  io.FutexWake(address, 1);
}

WakeReason Parker::Park(Io& io, const FutexWaitOptions& options) {
  FutexWaitOptions current_options = options;
  for (;;) {
    // A wake alone says nothing: it may have been meant for a wait that used
    // this address before.
    const uint32_t seen = word_.load(std::memory_order_acquire);
    if (seen == kReady) return WakeReason::kWoken;
    const WakeReason reason = io.FutexWait(word_, seen, current_options);
    if (reason != WakeReason::kDeadline && reason != WakeReason::kInterrupted) {
      continue;
    }
    if (Claim()) return reason;
    // A waker was first. It is between Claim and Resume, where it does not
    // park, and this frame has to stay until it is done.
    current_options = {.interruptible = false};
  }
}

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
  return InterruptionStatus(interruption, what);
}

}  // namespace weft::internal
