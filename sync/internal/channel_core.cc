// Values are moved under lock_: from a sender's frame to the buffer or to a
// receiver's frame, or from the buffer to a receiver's frame. That makes each
// hand-over one step: whoever looks finds a value in exactly one place, and
// values keep their order. Channel asks of its value type that a move cannot
// fail; it must not park and not use the channel.
//
// A waiter is served after it was claimed, so a cancel or a deadline that
// comes later does not undo it: Park returns kWoken, and the waiter tells.
#include "weft/sync/internal/channel_core.h"

#include <algorithm>
#include <mutex>
#include <new>

#include "weft/runtime/internal/check.h"
#include "weft/runtime/internal/wait_note.h"
#include "weft/sync/internal/compiled_atomics.h"
#include "weft/sync/internal/require_task.h"
#include "weft/sync/internal/wait_status.h"

namespace weft::internal {
namespace {

std::byte* NewBuffer(const ValueType& type, size_t capacity) {
  if (capacity == 0) return nullptr;
  if (capacity > SIZE_MAX / type.size) throw std::bad_array_new_length();
  return static_cast<std::byte*>(
      ::operator new (capacity* type.size, std::align_val_t{type.alignment}));
}

}  // namespace

template <class Atomics>
void ChannelCore<Atomics>::FreeBuffer::operator()(std::byte* buffer) const {
  ::operator delete (buffer, std::align_val_t{alignment});
}

template <class Atomics>
ChannelCore<Atomics>::ChannelCore(const ValueType& type, size_t capacity)
    : type_(type),
      capacity_(capacity),
      buffer_(NewBuffer(type, capacity), FreeBuffer{type.alignment}) {}

template <class Atomics>
ChannelCore<Atomics>::~ChannelCore() {
  if (!senders_.empty() || !receivers_.empty()) {
    Misuse(
        "a Channel was destroyed while a task waits in Send or Receive; close "
        "it and await the tasks that use a channel before it is destroyed");
  }
  for (; size_ > 0; --size_) type_.destroy(Slot(first_++));
}

template <class Atomics>
void ChannelCore<Atomics>::Append(void* value) {
  type_.move(Slot(first_ + size_), value);
  ++size_;
  peak_size_ = std::max(peak_size_, size_);
}

template <class Atomics>
auto ChannelCore<Atomics>::SendNow(void* value, Waiter*& partner) -> Progress {
  if (closed_) return Progress::kClosed;
  partner = receivers_.PopClaimed();
  if (partner != nullptr) {
    type_.move(partner->value, value);
    partner->served = true;
    return Progress::kDone;
  }
  if (size_ == capacity_) return Progress::kMustWait;
  Append(value);
  return Progress::kDone;
}

template <class Atomics>
auto ChannelCore<Atomics>::ReceiveNow(void* place, Waiter*& partner)
    -> Progress {
  const bool buffered = size_ > 0;
  if (buffered) {
    void* const slot = Slot(first_);
    type_.move(place, slot);
    type_.destroy(slot);
    first_ = (first_ + 1) % capacity_;
    --size_;
  }
  // The first sender in line gets the place that became free, or hands its
  // value over directly if there is no buffer.
  partner = senders_.PopClaimed();
  if (partner != nullptr) {
    if (buffered) {
      Append(partner->value);
    } else {
      type_.move(place, partner->value);
    }
    partner->served = true;
    return Progress::kDone;
  }
  if (buffered) return Progress::kDone;
  return closed_ ? Progress::kClosed : Progress::kMustWait;
}

template <class Atomics>
auto ChannelCore<Atomics>::DoNow(Side side, void* value, Waiter*& partner)
    -> Progress {
  return side == Side::kSend ? SendNow(value, partner)
                             : ReceiveNow(value, partner);
}

template <class Atomics>
auto ChannelCore<Atomics>::Attempt(Side side, Io& io, void* value, Waiter* self)
    -> Progress {
  Waiter* partner = nullptr;
  Progress progress;
  {
    const std::lock_guard guard(lock_);
    progress = DoNow(side, value, partner);
    if (progress == Progress::kMustWait && self != nullptr) {
      ListOf(side).PushBack(*self);
    }
  }
  if (partner != nullptr) partner->parker.Resume(io);
  return progress;
}

template <class Atomics>
absl::Status ChannelCore<Atomics>::Do(Side side, Io& io, void* value) {
  const bool sends = side == Side::kSend;
  const char* const what = sends ? "send" : "receive";
  const Task& task =
      RequireTask(io, sends ? "Channel::Send" : "Channel::Receive");
  if (absl::Status status = CheckScopes(task, what); !status.ok()) {
    return status;
  }
  Parker<Atomics> parker;
  Waiter self(parker, value);
  const Progress progress = Attempt(side, io, value, &self);
  if (progress != Progress::kMustWait) {
    return Result(side, progress == Progress::kClosed);
  }
  const WaitNote note(
      {.object = this,
       .what = sends ? "room in channel" : "a value of channel"});
  const WakeReason reason = parker.Park(io, {});
  if (reason == WakeReason::kWoken) return Result(side, self.closed);
  {
    const std::lock_guard guard(lock_);
    ListOf(side).Remove(self);
  }
  return WaitStatus(task, reason, what);
}

template <class Atomics>
absl::Status ChannelCore<Atomics>::TryDo(Side side, Io& io, void* value) {
  const Progress progress = Attempt(side, io, value, nullptr);
  if (progress != Progress::kMustWait) {
    return Result(side, progress == Progress::kClosed);
  }
  return side == Side::kSend
             ? absl::ResourceExhaustedError("send: channel is full")
             : absl::UnavailableError("receive: channel is empty");
}

template <class Atomics>
absl::Status ChannelCore<Atomics>::Result(Side side, bool closed) {
  if (!closed) return absl::OkStatus();
  return side == Side::kSend
             ? absl::FailedPreconditionError("send: channel is closed")
             : absl::OutOfRangeError("receive: channel is closed");
}

template <class Atomics>
void ChannelCore<Atomics>::Close(Io& io) {
  WaitList<Waiter> claimed;
  {
    const std::lock_guard guard(lock_);
    closed_ = true;
    for (WaitList<Waiter>* const list : {&senders_, &receivers_}) {
      while (Waiter* const waiter = list->PopClaimed()) {
        waiter->closed = true;
        claimed.PushBack(*waiter);
      }
    }
  }
  claimed.ResumeAll(io);
}

template <class Atomics>
size_t ChannelCore<Atomics>::size() const {
  const std::lock_guard guard(lock_);
  return size_;
}

template <class Atomics>
size_t ChannelCore<Atomics>::peak_size() const {
  const std::lock_guard guard(lock_);
  return peak_size_;
}

template <class Atomics>
size_t ChannelCore<Atomics>::waiting_senders() const {
  const std::lock_guard guard(lock_);
  return senders_.size();
}

template <class Atomics>
size_t ChannelCore<Atomics>::waiting_receivers() const {
  const std::lock_guard guard(lock_);
  return receivers_.size();
}

template <class Atomics>
bool ChannelCore<Atomics>::Branch::TryNow(Parker<Atomics>*& partner) {
  Waiter* waiter = nullptr;
  const Progress progress = channel_.DoNow(side_, value_, waiter);
  if (waiter != nullptr) partner = &waiter->parker;
  closed_ = progress == Progress::kClosed;
  return progress != Progress::kMustWait;
}

template <class Atomics>
bool ChannelCore<Atomics>::Branch::Enlist(Parker<Atomics>& parker) {
  channel_.ListOf(side_).PushBack(waiter_.emplace(parker, value_));
  return false;
}

template <class Atomics>
bool ChannelCore<Atomics>::Branch::Settle(Io&) {
  if (!waiter_.has_value()) return false;
  closed_ = waiter_->closed;
  if (waiter_->served || closed_) return true;
  const std::lock_guard guard(channel_.lock_);
  channel_.ListOf(side_).Remove(*waiter_);
  return false;
}

template class ChannelCore<CompiledAtomics>;

}  // namespace weft::internal
