// The part of Broadcast that does not depend on the types of the values and of
// the backend.
#ifndef WEFT_SYNC_INTERNAL_BROADCAST_CORE_H_
#define WEFT_SYNC_INTERNAL_BROADCAST_CORE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/io.h"
#include "weft/sync/internal/select_branch.h"
#include "weft/sync/internal/wait_list.h"

namespace weft::internal {

template <class Atomics>
class BroadcastCore {
 public:
  class Receiver;
  class Branch;

  using Value = std::shared_ptr<const void>;
  struct Item {
    Value value;
    uint64_t missed;
  };

  explicit BroadcastCore(size_t capacity);
  BroadcastCore(const BroadcastCore&) = delete;
  BroadcastCore& operator=(const BroadcastCore&) = delete;
  ~BroadcastCore();

  absl::Status Send(Io& io, Value value);
  void Close(Io& io);
  size_t capacity() const { return ring_.size(); }
  size_t receivers() const;
  size_t waiters() const;

 private:
  struct Waiter : WaitNode<Atomics> {
    using WaitNode<Atomics>::WaitNode;

    bool told = false;  // set by the waker
  };

  // Moves all waiters that could be claimed to `claimed`. Under lock_.
  void ClaimAll(WaitList<Waiter>& claimed);

  mutable typename Atomics::Lock lock_;
  // All below is guarded by lock_. Value number n, if it is among the last
  // ring_.size() of the end_ that were sent, lies in ring_[n % ring_.size()].
  std::vector<Value> ring_;
  uint64_t end_ = 0;
  bool closed_ = false;
  size_t receivers_ = 0;
  // Receivers wait only while they have received all.
  WaitList<Waiter> waiters_;
};

template <class Atomics>
class BroadcastCore<Atomics>::Receiver {
 public:
  explicit Receiver(BroadcastCore& broadcast);
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;
  ~Receiver();

  absl::StatusOr<Item> Receive(Io& io, MonotonicTime deadline);
  absl::StatusOr<Item> TryReceive();

 private:
  friend class Branch;

  // True if TryReceive has a value or the end to report. Under the lock.
  bool Ready() const { return next_ != broadcast_.end_ || broadcast_.closed_; }
  // What there is; only if Ready. Under the lock.
  absl::StatusOr<Item> Take();

  BroadcastCore& broadcast_;
  uint64_t next_;  // the number of the next value; guarded by the lock
};

// Is there when TryReceive has something to report.
template <class Atomics>
class BroadcastCore<Atomics>::Branch : public SelectBranch<Atomics> {
 public:
  explicit Branch(Receiver& receiver) : receiver_(receiver) {}

  bool TryNow(Parker<Atomics>*& partner) final;
  bool Enlist(Parker<Atomics>& parker) final;
  bool Settle(Io& io) final;

 private:
  Receiver& receiver_;
  std::optional<Waiter> waiter_;
};

extern template class BroadcastCore<NativeAtomics>;
extern template class BroadcastCore<ExploredAtomics>;

}  // namespace weft::internal

#endif  // WEFT_SYNC_INTERNAL_BROADCAST_CORE_H_
