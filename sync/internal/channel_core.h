// The part of Channel that does not depend on the types of the values and of
// the backend.
#ifndef WEFT_SYNC_INTERNAL_CHANNEL_CORE_H_
#define WEFT_SYNC_INTERNAL_CHANNEL_CORE_H_

#include <cstddef>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/io.h"
#include "weft/sync/internal/select_branch.h"
#include "weft/sync/internal/wait_list.h"

namespace weft::internal {

// How to handle values of a type that the core does not know.
struct ValueType {
  size_t size;
  size_t alignment;
  // Makes a value in the raw memory `to` out of `*from`, which stays a value
  // that was moved from.
  void (*move)(void* to, void* from) noexcept;
  void (*destroy)(void* value) noexcept;
};

template <class Atomics>
class ChannelCore {
 public:
  class Branch;

  ChannelCore(const ValueType& type, size_t capacity);
  ChannelCore(const ChannelCore&) = delete;
  ChannelCore& operator=(const ChannelCore&) = delete;
  ~ChannelCore();

  // Moves from `*value` exactly if the result is OK.
  absl::Status Send(Io& io, void* value) { return Do(Side::kSend, io, value); }
  absl::Status TrySend(Io& io, void* value) {
    return TryDo(Side::kSend, io, value);
  }
  // Makes a value in the raw memory `place` exactly if the result is OK.
  absl::Status Receive(Io& io, void* place) {
    return Do(Side::kReceive, io, place);
  }
  absl::Status TryReceive(Io& io, void* place) {
    return TryDo(Side::kReceive, io, place);
  }
  void Close(Io& io);

  size_t capacity() const { return capacity_; }
  size_t size() const;
  size_t peak_size() const;
  size_t waiting_senders() const;
  size_t waiting_receivers() const;

 private:
  enum class Side { kSend, kReceive };
  enum class Progress { kDone, kClosed, kMustWait };

  // A sender that waits for room or a receiver that waits for a value.
  struct Waiter : WaitNode<Atomics> {
    Waiter(Parker<Atomics>& own, void* its_value)
        : WaitNode<Atomics>(own), value(its_value) {}

    // A sender's value, or where a receiver wants it.
    void* const value;
    // The waker sets one of them.
    bool served = false;
    bool closed = false;
  };

  // These do what can be done at once; `partner` is then the waiter that was
  // served on the way, if any, and has to be resumed. Under lock_.
  Progress SendNow(void* value, Waiter*& partner);
  Progress ReceiveNow(void* place, Waiter*& partner);
  Progress DoNow(Side side, void* value, Waiter*& partner);

  // DoNow, and resumes the partner. If that must wait, `self` stands in line
  // afterwards, unless it is null.
  Progress Attempt(Side side, Io& io, void* value, Waiter* self);
  absl::Status Do(Side side, Io& io, void* value);
  absl::Status TryDo(Side side, Io& io, void* value);
  // Of a call that came to its end.
  static absl::Status Result(Side side, bool closed);

  // Where those of this side wait.
  WaitList<Waiter>& ListOf(Side side) {
    return side == Side::kSend ? senders_ : receivers_;
  }

  void* Slot(size_t index) const {
    return buffer_.get() + (index % capacity_) * type_.size;
  }
  // Puts a value at the end of the buffer. Under lock_.
  void Append(void* value);

  struct FreeBuffer {
    size_t alignment;
    void operator()(std::byte* buffer) const;
  };

  const ValueType& type_;
  const size_t capacity_;
  const std::unique_ptr<std::byte[], FreeBuffer> buffer_;
  mutable typename Atomics::Lock lock_;
  // All below is guarded by lock_. Senders wait only while the buffer is full,
  // receivers only while it is empty and no sender waits.
  WaitList<Waiter> senders_;
  WaitList<Waiter> receivers_;
  size_t first_ = 0;
  size_t size_ = 0;
  size_t peak_size_ = 0;
  bool closed_ = false;
};

// A Send or a Receive of a Select.
template <class Atomics>
class ChannelCore<Atomics>::Branch : public SelectBranch<Atomics> {
 public:
  using Side = ChannelCore::Side;

  Branch(ChannelCore& channel, Side side, void* value)
      : channel_(channel), side_(side), value_(value) {}

  typename Atomics::Lock* Lock() final { return &channel_.lock_; }
  bool TryNow(Parker<Atomics>*& partner) final;
  bool Enlist(Parker<Atomics>& parker) final;
  bool Settle(Io& io) final;

 protected:
  // What Send or Receive would have returned, once the branch was chosen.
  absl::Status Result() const { return ChannelCore::Result(side_, closed_); }

 private:
  ChannelCore& channel_;
  const Side side_;
  void* const value_;
  std::optional<Waiter> waiter_;
  bool closed_ = false;
};

extern template class ChannelCore<NativeAtomics>;
extern template class ChannelCore<ExploredAtomics>;

}  // namespace weft::internal

#endif  // WEFT_SYNC_INTERNAL_CHANNEL_CORE_H_
