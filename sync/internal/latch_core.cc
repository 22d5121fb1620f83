// The word is all there is to a latch: the last CountDown writes 0 and then
// wakes by address only, so the first task that Wait lets go may destroy it.
#include "weft/sync/internal/latch_core.h"

#include "weft/runtime/internal/check.h"
#include "weft/runtime/internal/wait_note.h"
#include "weft/sync/internal/compiled_atomics.h"
#include "weft/sync/internal/require_task.h"
#include "weft/sync/internal/wait_status.h"

namespace weft::internal {

template <class Atomics>
LatchCore<Atomics>::~LatchCore() {
  if (waiters() == 0) return;
  Misuse(
      "a Latch was destroyed while a task waits for it; await the tasks that "
      "use a latch before it is destroyed");
}

template <class Atomics>
void LatchCore<Atomics>::CountDown(Io& io, uint32_t by) {
  const std::atomic<uint32_t>& address = WordOf(count_);
  uint32_t seen = count_.load(std::memory_order_relaxed);
  do {
    if (by > seen) {
      Misuse(
          "Latch::CountDown below zero; count down as often as the latch was "
          "made for");
    }
    // Acquire as well: the last one carries on what happened before the others.
  } while (!count_.compare_exchange_weak(
      seen, seen - by, std::memory_order_acq_rel, std::memory_order_relaxed));
  if (by != 0 && seen == by) io.FutexWake(address, UINT32_MAX);
}

template <class Atomics>
absl::Status LatchCore<Atomics>::Wait(Io& io, MonotonicTime deadline) {
  const Task& task = RequireTask(io, "Latch::Wait");
  absl::Status status = CheckScopes(task, "wait");
  uint32_t seen = count();
  if (!status.ok() || seen == 0) return status;
  waiters_.fetch_add(1, std::memory_order_relaxed);
  WakeReason reason = WakeReason::kWoken;
  const WaitNote note({.object = this, .what = "latch"});
  // Only the last CountDown wakes; one before it may make the word differ.
  while (seen != 0 && (reason == WakeReason::kWoken ||
                       reason == WakeReason::kValueDiffered)) {
    reason = io.FutexWait(WordOf(count_), seen, {.deadline = deadline});
    seen = count();
  }
  // A last CountDown that came together with a cancel counts.
  if (seen == 0) reason = WakeReason::kWoken;
  waiters_.fetch_sub(1, std::memory_order_relaxed);
  return WaitStatus(task, reason, "wait");
}

template class LatchCore<CompiledAtomics>;

}  // namespace weft::internal
