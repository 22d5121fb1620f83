// Waiters are only told to look: the value stays in the ring until it is
// overwritten, so nothing is lost to a waiter that is cancelled when it comes.
// Values are copied and destroyed outside lock_.
#include "weft/sync/internal/broadcast_core.h"

#include <mutex>
#include <utility>

#include "weft/runtime/internal/check.h"
#include "weft/runtime/internal/wait_note.h"
#include "weft/sync/internal/compiled_atomics.h"
#include "weft/sync/internal/require_task.h"
#include "weft/sync/internal/wait_status.h"

namespace weft::internal {

template <class Atomics>
BroadcastCore<Atomics>::BroadcastCore(size_t capacity) : ring_(capacity) {
  if (capacity != 0) return;
  Misuse(
      "a Broadcast was made without room for a value; its argument is how many "
      "values a receiver may be behind before it misses some");
}

template <class Atomics>
BroadcastCore<Atomics>::~BroadcastCore() {
  if (receivers_ == 0) return;
  Misuse(
      "a Broadcast was destroyed before its receivers; await the tasks that "
      "receive from a broadcast before it is destroyed");
}

template <class Atomics>
void BroadcastCore<Atomics>::ClaimAll(WaitList<Waiter>& claimed) {
  while (Waiter* const waiter = waiters_.PopClaimed()) {
    waiter->told = true;
    claimed.PushBack(*waiter);
  }
}

template <class Atomics>
absl::Status BroadcastCore<Atomics>::Send(Io& io, Value value) {
  WaitList<Waiter> claimed;
  {
    const std::lock_guard guard(lock_);
    if (closed_) {
      return absl::FailedPreconditionError("send: broadcast is closed");
    }
    // The one that is overwritten ends with `value`, after lock_ is free.
    std::swap(ring_[end_ % ring_.size()], value);
    ++end_;
    ClaimAll(claimed);
  }
  claimed.ResumeAll(io);
  return absl::OkStatus();
}

template <class Atomics>
void BroadcastCore<Atomics>::Close(Io& io) {
  WaitList<Waiter> claimed;
  {
    const std::lock_guard guard(lock_);
    closed_ = true;
    ClaimAll(claimed);
  }
  claimed.ResumeAll(io);
}

template <class Atomics>
size_t BroadcastCore<Atomics>::receivers() const {
  const std::lock_guard guard(lock_);
  return receivers_;
}

template <class Atomics>
size_t BroadcastCore<Atomics>::waiters() const {
  const std::lock_guard guard(lock_);
  return waiters_.size();
}

template <class Atomics>
BroadcastCore<Atomics>::Receiver::Receiver(BroadcastCore& broadcast)
    : broadcast_(broadcast) {
  const std::lock_guard guard(broadcast_.lock_);
  next_ = broadcast_.end_;
  ++broadcast_.receivers_;
}

template <class Atomics>
BroadcastCore<Atomics>::Receiver::~Receiver() {
  const std::lock_guard guard(broadcast_.lock_);
  --broadcast_.receivers_;
}

template <class Atomics>
auto BroadcastCore<Atomics>::Receiver::Take() -> absl::StatusOr<Item> {
  if (next_ == broadcast_.end_) {
    return absl::OutOfRangeError("receive: broadcast is closed");
  }
  const std::vector<Value>& ring = broadcast_.ring_;
  uint64_t missed = 0;
  if (broadcast_.end_ - next_ > ring.size()) {
    missed = broadcast_.end_ - next_ - ring.size();
  }
  next_ += missed + 1;
  return Item{.value = ring[(next_ - 1) % ring.size()], .missed = missed};
}

template <class Atomics>
auto BroadcastCore<Atomics>::Receiver::TryReceive() -> absl::StatusOr<Item> {
  const std::lock_guard guard(broadcast_.lock_);
  if (Ready()) return Take();
  return absl::UnavailableError("receive: nothing was sent");
}

template <class Atomics>
auto BroadcastCore<Atomics>::Receiver::Receive(Io& io, MonotonicTime deadline)
    -> absl::StatusOr<Item> {
  const Task& task = RequireTask(io, "BroadcastReceiver::Receive");
  if (absl::Status status = CheckScopes(task, "receive"); !status.ok()) {
    return status;
  }
  Parker<Atomics> parker;
  Waiter self(parker);
  {
    const std::lock_guard guard(broadcast_.lock_);
    if (Ready()) return Take();
    broadcast_.waiters_.PushBack(self);
  }
  const WaitNote note({.object = &broadcast_, .what = "a value of broadcast"});
  const WakeReason reason = parker.Park(io, {.deadline = deadline});
  const std::lock_guard guard(broadcast_.lock_);
  if (reason == WakeReason::kWoken) return Take();
  broadcast_.waiters_.Remove(self);
  return WaitStatus(task, reason, "receive");
}

template <class Atomics>
bool BroadcastCore<Atomics>::Branch::TryNow(Parker<Atomics>*&) {
  const std::lock_guard guard(receiver_.broadcast_.lock_);
  return receiver_.Ready();
}

template <class Atomics>
bool BroadcastCore<Atomics>::Branch::Enlist(Parker<Atomics>& parker) {
  const std::lock_guard guard(receiver_.broadcast_.lock_);
  if (receiver_.Ready()) return true;
  receiver_.broadcast_.waiters_.PushBack(waiter_.emplace(parker));
  return false;
}

template <class Atomics>
bool BroadcastCore<Atomics>::Branch::Settle(Io&) {
  if (!waiter_.has_value()) return false;
  if (waiter_->told) return true;
  const std::lock_guard guard(receiver_.broadcast_.lock_);
  receiver_.broadcast_.waiters_.Remove(*waiter_);
  return false;
}

template class BroadcastCore<CompiledAtomics>;

}  // namespace weft::internal
