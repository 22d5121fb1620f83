// The part of Latch that does not depend on the backend.
#ifndef WEFT_SYNC_INTERNAL_LATCH_CORE_H_
#define WEFT_SYNC_INTERNAL_LATCH_CORE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/io.h"

namespace weft::internal {

template <class Atomics>
class LatchCore {
 public:
  explicit LatchCore(uint32_t count) : count_(count) {}
  LatchCore(const LatchCore&) = delete;
  LatchCore& operator=(const LatchCore&) = delete;
  ~LatchCore();

  void CountDown(Io& io, uint32_t by);
  absl::Status Wait(Io& io, MonotonicTime deadline);
  // Acquire pairs with the release in CountDown.
  uint32_t count() const { return count_.load(std::memory_order_acquire); }
  size_t waiters() const { return waiters_.load(std::memory_order_relaxed); }

 private:
  typename Atomics::template Atomic<uint32_t> count_;
  // Tasks inside Wait.
  typename Atomics::template Atomic<uint32_t> waiters_{0};
};

extern template class LatchCore<NativeAtomics>;
extern template class LatchCore<ExploredAtomics>;

}  // namespace weft::internal

#endif  // WEFT_SYNC_INTERNAL_LATCH_CORE_H_
