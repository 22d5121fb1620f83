// An arrival counts as long as its node is in the list, and the list changes
// only under lock_. So the last to arrive finds either all others, and then
// each of them returns OK, or fewer, and then it waits itself.
//
// A waiter that gives up has claimed its own wait before it takes lock_. If
// the meeting was completed in between, its node is off the list and it
// returns OK, without having been resumed.
#include "weft/sync/internal/barrier_core.h"

#include <mutex>

#include "weft/runtime/internal/check.h"
#include "weft/runtime/internal/wait_note.h"
#include "weft/sync/internal/compiled_atomics.h"
#include "weft/sync/internal/require_task.h"
#include "weft/sync/internal/wait_status.h"

namespace weft::internal {

template <class Atomics>
BarrierCore<Atomics>::BarrierCore(uint32_t parties) : parties_(parties) {
  if (parties != 0) return;
  Misuse(
      "a Barrier was made for no tasks; its argument is how many tasks meet");
}

template <class Atomics>
BarrierCore<Atomics>::~BarrierCore() {
  if (waiters_.empty()) return;
  Misuse(
      "a Barrier was destroyed while a task waits in it; await the tasks that "
      "use a barrier before it is destroyed");
}

template <class Atomics>
void BarrierCore<Atomics>::ReleaseAll(WaitList<Waiter>& released) {
  while (Waiter* const waiter = waiters_.PopClaimed()) {
    released.PushBack(*waiter);
  }
  arrived_ = 0;
}

template <class Atomics>
absl::Status BarrierCore<Atomics>::Wait(Io& io, MonotonicTime deadline) {
  const Task& task = RequireTask(io, "Barrier::Wait");
  absl::Status status = CheckScopes(task, "wait");
  if (!status.ok()) return status;
  Waiter self;
  WaitList<Waiter> released;
  bool complete = false;
  {
    const std::lock_guard guard(lock_);
    complete = arrived_ + 1 == parties_;
    if (complete) {
      ReleaseAll(released);
    } else {
      waiters_.PushBack(self);
      ++arrived_;
    }
  }
  if (complete) {
    released.ResumeAll(io);
    return status;
  }
  const WaitNote note({.object = this, .what = "barrier"});
  const WakeReason reason = self.parker.Park(io, {.deadline = deadline});
  if (reason == WakeReason::kWoken) return status;
  {
    const std::lock_guard guard(lock_);
    if (!waiters_.Remove(self)) return status;
    --arrived_;
  }
  return WaitStatus(task, reason, "wait");
}

template <class Atomics>
size_t BarrierCore<Atomics>::waiters() const {
  const std::lock_guard guard(lock_);
  return arrived_;
}

template class BarrierCore<CompiledAtomics>;

}  // namespace weft::internal
