// What the primitives park and wake with: a Parker in the frame of each
// waiting call, and lists of them, first come, first served.
//
// The life of a wait:
//
//   waiter  enters its node in a list, under the lock of the primitive, lets
//           go of the lock and parks;
//   waker   takes the node off the list and claims it, under the lock; does to
//           it what the wait was for; lets go of the lock; resumes the waiter;
//   or the waiter gives up (deadline, cancel): it claims its own wait. If that
//           fails, a waker was first, and the wait ends as that waker says.
//
// **Exactly once.** The claim decides between all wakers and the waiter
// itself. What was given to a waiter is therefore never lost to a cancel, and
// a wake never goes to a waiter that has given up.
//
// **Lifetime.** Resume is the last use of a node by its waker, and comes after
// the last use of the primitive: a woken task may destroy both at once.
#ifndef WEFT_SYNC_INTERNAL_WAIT_LIST_H_
#define WEFT_SYNC_INTERNAL_WAIT_LIST_H_

#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <cstdint>

#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/io.h"

namespace weft::internal {

// One wait of one task.
template <class Atomics>
class Parker {
 public:
  Parker() = default;
  Parker(const Parker&) = delete;
  Parker& operator=(const Parker&) = delete;

  // True for the one caller that decides how the wait ends. That caller, if it
  // is not the waiting task, must call Resume soon and without parking.
  bool Claim() {
    uint32_t expected = kWaiting;
    // What the claimer did before it resumes is ordered by Resume and Park.
    return word_.compare_exchange_strong(expected, kClaimed,
                                         std::memory_order_relaxed);
  }

  // Ends a claimed wait. The parker may be gone when this returns.
  void Resume(Io& io);

  // Parks until resumed (kWoken), or gives up (kDeadline, kInterrupted); after
  // giving up the wait is claimed, and no Resume comes. Only the waiting task.
  WakeReason Park(Io& io, const FutexWaitOptions& options);

  // Makes a parker whose wait has ended ready for another.
  void Rearm() { word_.store(kWaiting, std::memory_order_relaxed); }

 private:
  enum : uint32_t { kWaiting, kClaimed, kReady };

  typename Atomics::template Atomic<uint32_t> word_{kWaiting};
};

extern template class Parker<NativeAtomics>;
extern template class Parker<ExploredAtomics>;

// An entry in a WaitList. A wait on several lists has one parker and a node in
// each list: whoever claims the parker first ends the wait.
template <class Atomics>
struct WaitNode : boost::intrusive::list_base_hook<> {
  explicit WaitNode(Parker<Atomics>& own) : parker(own) {}

  Parker<Atomics>& parker;
};

// Nodes in order of arrival. Not thread-safe: guarded by the lock of its
// owner, and local to the waker when it holds nodes to be resumed.
template <class Node>
class WaitList {
 public:
  bool empty() const { return nodes_.empty(); }
  // Takes time in proportion to the result.
  size_t size() const { return nodes_.size(); }
  Node& front() { return nodes_.front(); }
  void PushBack(Node& node) { nodes_.push_back(node); }
  void PushFront(Node& node) { nodes_.push_front(node); }
  void PopFront() { nodes_.pop_front(); }

  // Takes off nodes up to and including the first that could be claimed; null
  // if there was none. The others belong to waiters that are giving up.
  Node* PopClaimed() {
    while (!nodes_.empty()) {
      Node& node = nodes_.front();
      nodes_.pop_front();
      if (node.parker.Claim()) return &node;
    }
    return nullptr;
  }

  // Takes the node off; false if it was taken off before.
  bool Remove(Node& node) {
    if (!node.is_linked()) return false;
    nodes_.erase(nodes_.iterator_to(node));
    return true;
  }

  // Resumes all, which were claimed before, in order.
  void ResumeAll(Io& io) {
    while (!nodes_.empty()) {
      auto& parker = nodes_.front().parker;
      // Off the list first: a resumed node may be gone.
      nodes_.pop_front();
      parker.Resume(io);
    }
  }

 private:
  boost::intrusive::list<Node, boost::intrusive::constant_time_size<false>>
      nodes_;
};

}  // namespace weft::internal

#endif  // WEFT_SYNC_INTERNAL_WAIT_LIST_H_
