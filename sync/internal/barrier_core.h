// The part of Barrier that does not depend on the backend.
#ifndef WEFT_SYNC_INTERNAL_BARRIER_CORE_H_
#define WEFT_SYNC_INTERNAL_BARRIER_CORE_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/io.h"
#include "weft/sync/internal/wait_list.h"

namespace weft::internal {

template <class Atomics>
class BarrierCore {
 public:
  explicit BarrierCore(uint32_t parties);
  BarrierCore(const BarrierCore&) = delete;
  BarrierCore& operator=(const BarrierCore&) = delete;
  ~BarrierCore();

  absl::Status Wait(Io& io, MonotonicTime deadline);
  uint32_t parties() const { return parties_; }
  size_t waiters() const;

 private:
  struct Waiter : WaitNode<Atomics> {
    Waiter() : WaitNode<Atomics>(own_parker) {}

    Parker<Atomics> own_parker;
  };

  // Takes all off the list, for the meeting is complete; those in `released`
  // have to be resumed. Under lock_.
  void ReleaseAll(WaitList<Waiter>& released);

  const uint32_t parties_;
  mutable typename Atomics::Lock lock_;
  // Guarded by lock_. Who is in the list has arrived.
  WaitList<Waiter> waiters_;
  uint32_t arrived_ = 0;  // the length of waiters_
};

extern template class BarrierCore<NativeAtomics>;
extern template class BarrierCore<ExploredAtomics>;

}  // namespace weft::internal

#endif  // WEFT_SYNC_INTERNAL_BARRIER_CORE_H_
