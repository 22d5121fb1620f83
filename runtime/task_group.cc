#include "weft/runtime/task_group.h"

#include "weft/runtime/internal/wait_note.h"
#include "weft/runtime/status.h"

namespace weft::internal {

void GroupTask::AnnounceEnd() { group_.Finish(*this); }

GroupCore::~GroupCore() {
  if (running() != 0) {
    Cancel();
    Shield shield(io_);
    AwaitEnd(io_);
  }
  // Waits until the last Finish has let go of the group.
  const std::lock_guard lock(mutex_);
}

bool GroupCore::Spawn(GroupTask& task) {
  const TaskPointer<GroupTask> reference(&task);
  if (const Interruption interruption = Enter(task);
      interruption != Interruption::kNone) {
    const std::lock_guard lock(mutex_);
    KeepError(InterruptionStatus(interruption, "spawn"));
    return false;
  }
  const absl::Status status = io_.Start(task);
  if (status.ok()) return true;
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    wake = LeaveLocked(task);
    KeepError(status);
  }
  if (wake) io_.FutexWake(running_, UINT32_MAX);
  return false;
}

Interruption GroupCore::Enter(GroupTask& task) {
  std::unique_lock lock(mutex_);
  while (options_.max_concurrent != 0 && running() >= options_.max_concurrent) {
    const uint32_t seen = running();
    ++waiting_for_place_;
    lock.unlock();
    const WakeReason reason = [&] {
      const WaitNote note({.object = this, .what = "a place in task group"});
      return io_.FutexWait(running_, seen, {});
    }();
    lock.lock();
    --waiting_for_place_;
    if (reason == WakeReason::kInterrupted) {
      return io_.CurrentTask("TaskGroup::Spawn").GiveUp();
    }
  }
  tasks_.push_back(task);
  running_.fetch_add(1, std::memory_order_relaxed);
  if (cancelled_) task.RequestCancel();
  return Interruption::kNone;
}

void GroupCore::Cancel() {
  ReachCancelPoint();
  const std::lock_guard lock(mutex_);
  CancelLocked();
}

void GroupCore::CancelLocked() {
  if (cancelled_) return;
  cancelled_ = true;
  for (GroupTask& task : tasks_) task.RequestCancel();
}

absl::Status GroupCore::Await(Io& io) {
  const Interruption interruption = [&] {
    const WaitNote note(EndOfAll());
    for (uint32_t left = running(); left != 0; left = running()) {
      if (io.FutexWait(running_, left, {}) == WakeReason::kInterrupted) {
        Cancel();
        AwaitEnd(io);
        return io.CurrentTask("TaskGroup::Await").GiveUp();
      }
    }
    return Interruption::kNone;
  }();
  const std::lock_guard lock(mutex_);
  cancelled_ = false;
  absl::Status error = std::exchange(first_error_, absl::OkStatus());
  if (std::exception_ptr thrown = std::exchange(first_exception_, nullptr)) {
    std::rethrow_exception(std::move(thrown));
  }
  if (error.ok()) error = InterruptionStatus(interruption, "await");
  return error;
}

void GroupCore::AwaitEnd(Io& io) {
  const WaitNote note(EndOfAll());
  for (uint32_t left = running(); left != 0; left = running()) {
    io.FutexWait(running_, left, {.interruptible = false});
  }
}

Awaited GroupCore::EndOfAll() const {
  return {.object = this,
          .what = "the end of task group",
          .by = Awaited::By::kItsTasks};
}

void GroupCore::Finish(GroupTask& task) {
  Io& io = io_;
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    wake = LeaveLocked(task);
    if (task.exception_ != nullptr) {
      // Moved, as the status is: the task may outlive what the waiter does.
      if (first_exception_ == nullptr) {
        first_exception_ = std::move(task.exception_);
      }
      if (options_.cancel_on_error) CancelLocked();
    }
    if (!task.status_.ok() &&
        !(cancelled_ && absl::IsCancelled(task.status_))) {
      KeepError(std::move(task.status_));
    }
  }
  // The group may be gone from here on; its address is all that is used.
  if (wake) io.FutexWake(running_, UINT32_MAX);
}

bool GroupCore::LeaveLocked(GroupTask& task) {
  tasks_.erase(tasks_.iterator_to(task));
  // Release pairs with the acquire in running(): whoever sees 0 sees what the
  // tasks did.
  const uint32_t left = running_.fetch_sub(1, std::memory_order_release) - 1;
  return left == 0 || waiting_for_place_ > 0;
}

void GroupCore::KeepError(absl::Status status) {
  if (first_error_.ok()) first_error_ = std::move(status);
  if (options_.cancel_on_error) CancelLocked();
}

}  // namespace weft::internal
