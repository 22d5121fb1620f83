// The part of Semaphore that does not depend on the backend.
#ifndef WEFT_SYNC_INTERNAL_SEMAPHORE_CORE_H_
#define WEFT_SYNC_INTERNAL_SEMAPHORE_CORE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/io.h"
#include "weft/sync/internal/require_task.h"
#include "weft/sync/internal/wait_list.h"
#include "weft/sync/internal/wait_status.h"

namespace weft::internal {

template <class Atomics>
class SemaphoreCore {
 public:
  SemaphoreCore(uint32_t initial, uint32_t max);
  SemaphoreCore(const SemaphoreCore&) = delete;
  SemaphoreCore& operator=(const SemaphoreCore&) = delete;
  ~SemaphoreCore();

  absl::Status Acquire(Io& io, uint32_t count, MonotonicTime deadline) {
    const Task& task = RequireTask(io, "Semaphore::Acquire");
    absl::Status status = CheckScopes(task, "acquire");
    if (status.ok() && !TryAcquire(count)) {
      status = AcquireContended(io, task, count, deadline);
    }
    return status;
  }

  bool TryAcquire(uint32_t count) {
    uint64_t seen = state_.load(std::memory_order_relaxed);
    while (Waiters(seen) == 0 && Permits(seen) >= count) {
      // Acquire pairs with the release in TryRelease and Add.
      if (state_.compare_exchange_weak(seen, seen - count,
                                       std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }

  void Release(Io& io, uint32_t count) {
    if (!TryRelease(count)) ReleaseContended(io, count);
  }

  uint32_t permits() const {
    return Permits(state_.load(std::memory_order_relaxed));
  }
  size_t waiters() const {
    return Waiters(state_.load(std::memory_order_relaxed));
  }

 private:
  struct Waiter : WaitNode<Atomics> {
    explicit Waiter(uint32_t wanted)
        : WaitNode<Atomics>(own_parker), count(wanted) {}

    Parker<Atomics> own_parker;
    const uint32_t count;
  };

  // state_ holds two numbers: waiters and permits.
  static constexpr uint64_t kOneWaiter = uint64_t{1} << 32;
  static uint32_t Waiters(uint64_t state) {
    return static_cast<uint32_t>(state >> 32);
  }
  static uint32_t Permits(uint64_t state) {
    return static_cast<uint32_t>(state);
  }

  // False, and nothing was released, if somebody waits.
  bool TryRelease(uint32_t count) {
    uint64_t seen = state_.load(std::memory_order_relaxed);
    while (Waiters(seen) == 0) {
      RequireRoom(seen, count);
      if (state_.compare_exchange_weak(seen, seen + count,
                                       std::memory_order_release,
                                       std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }
  void RequireRoom(uint64_t state, uint32_t count) const {
    if (count > max_ - Permits(state)) MisusedInRelease();
  }

  // Takes the permits, or counts a waiter. Under lock_.
  bool TakeOrCountWaiter(uint32_t count);
  // Adds permits for those who wait; false if nobody does. Under lock_.
  bool TryAdd(uint32_t count);
  // Takes a waiter that does not get its permits off the count. Under lock_.
  void UncountWaiter();
  // Moves waiters from the front to `granted` as long as there are permits
  // for the first. Under lock_.
  void GrantTo(WaitList<Waiter>& granted);

  absl::Status AcquireContended(Io& io, const Task& task, uint32_t count,
                                MonotonicTime deadline);
  void ReleaseContended(Io& io, uint32_t count);

  [[noreturn]] static void MisusedInRelease();

  typename Atomics::template Atomic<uint64_t> state_;
  const uint32_t max_;
  typename Atomics::Lock lock_;
  // Guarded by lock_, as is state_ while it counts waiters.
  WaitList<Waiter> waiters_;
};

extern template class SemaphoreCore<NativeAtomics>;
extern template class SemaphoreCore<ExploredAtomics>;

}  // namespace weft::internal

#endif  // WEFT_SYNC_INTERNAL_SEMAPHORE_CORE_H_
