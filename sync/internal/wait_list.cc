#include "weft/sync/internal/wait_list.h"

#include "weft/sync/internal/compiled_atomics.h"

namespace weft::internal {

template <class Atomics>
void Parker<Atomics>::Resume(Io& io) {
  const std::atomic<uint32_t>& address = WordOf(word_);
  // Release pairs with the acquire in Park: the waiter sees what was done to
  // it. From here on the parker may be gone; FutexWake takes an address.
  word_.store(kReady, std::memory_order_release);
  io.FutexWake(address, 1);
}

template <class Atomics>
WakeReason Parker<Atomics>::Park(Io& io, const FutexWaitOptions& options) {
  FutexWaitOptions current_options = options;
  for (;;) {
    // A wake alone says nothing: it may have been meant for a wait that used
    // this address before.
    const uint32_t seen = word_.load(std::memory_order_acquire);
    if (seen == kReady) return WakeReason::kWoken;
    const WakeReason reason =
        io.FutexWait(WordOf(word_), seen, current_options);
    if (reason != WakeReason::kDeadline && reason != WakeReason::kInterrupted) {
      continue;
    }
    if (Claim()) return reason;
    // A waker was first. It is between Claim and Resume, where it does not
    // park, and this frame has to stay until it is done.
    current_options = {.interruptible = false};
  }
}

template class Parker<CompiledAtomics>;

}  // namespace weft::internal
