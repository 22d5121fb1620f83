// A turn that failed is handed to a waiter under lock_, and that waiter was
// claimed: either it runs, or it hands the turn on. So the turn is never lost
// to a cancel, and nobody waits while nobody runs.
#include "weft/sync/internal/once_core.h"

#include <mutex>

#include "weft/runtime/internal/check.h"
#include "weft/runtime/internal/wait_note.h"
#include "weft/sync/internal/compiled_atomics.h"
#include "weft/sync/internal/require_task.h"
#include "weft/sync/internal/wait_status.h"

namespace weft::internal {
namespace {

constexpr char kWhat[] = "once";

}  // namespace

template <class Atomics>
OnceCore<Atomics>::~OnceCore() {
  if (waiters_.empty() && runner_ == nullptr) return;
  Misuse(
      "a Once was destroyed while a task runs its function or waits for that; "
      "await the tasks that use it before it is destroyed");
}

template <class Atomics>
auto OnceCore<Atomics>::Begin(Io& io, MonotonicTime deadline)
    -> absl::StatusOr<Turn> {
  const Task& task = RequireTask(io, "Once::Run");
  if (absl::Status status = CheckScopes(task, kWhat); !status.ok()) {
    return status;
  }
  Waiter self(task);
  {
    const std::lock_guard guard(lock_);
    if (done()) return Turn::kDone;
    if (runner_ == nullptr) {
      runner_ = &task;
      NoteRunner();
      return Turn::kRun;
    }
    if (runner_ == &task) {
      Misuse(
          "Once::Run by the function that the same Once runs, which would wait "
          "itself for ever");
    }
    waiters_.PushBack(self);
  }
  const WaitNote note({.object = this, .what = "once"});
  const WakeReason reason = self.parker.Park(io, {.deadline = deadline});
  if (reason != WakeReason::kWoken) {
    const std::lock_guard guard(lock_);
    waiters_.Remove(self);
    return WaitStatus(task, reason, kWhat);
  }
  if (self.turn == Turn::kDone) return Turn::kDone;
  NoteRunner();
  absl::Status status = CheckScopes(task, kWhat);
  if (status.ok()) return Turn::kRun;
  Fail(io);
  return status;
}

template <class Atomics>
void OnceCore<Atomics>::Succeed(Io& io) {
  Atomics::Releasing(this);
  WaitList<Waiter> claimed;
  {
    const std::lock_guard guard(lock_);
    runner_ = nullptr;
    done_.store(true, std::memory_order_release);
    while (Waiter* const waiter = waiters_.PopClaimed()) {
      claimed.PushBack(*waiter);
    }
  }
  claimed.ResumeAll(io);
}

template <class Atomics>
void OnceCore<Atomics>::Fail(Io& io) {
  Atomics::Releasing(this);
  Waiter* next = nullptr;
  {
    const std::lock_guard guard(lock_);
    next = waiters_.PopClaimed();
    runner_ = next == nullptr ? nullptr : &next->task;
    if (next != nullptr) next->turn = Turn::kRun;
  }
  if (next != nullptr) next->parker.Resume(io);
}

template <class Atomics>
size_t OnceCore<Atomics>::waiters() const {
  const std::lock_guard guard(lock_);
  return waiters_.size();
}

template class OnceCore<CompiledAtomics>;

}  // namespace weft::internal
