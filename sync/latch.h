// Latch: waits until a number of things have happened, once.
//
//   weft::Latch<B> ready(/*count=*/workers);
//   ...
//   ready.CountDown(io);                          // in each worker
//   ...
//   absl::Status status = ready.Wait(io);         // in who needs them all
//
// **Threads.** Wait: tasks of backend B. CountDown: any thread. What happened
// before each CountDown is visible after Wait. A task that Wait let go may
// destroy the latch if no other waits.
//
// **Cancelling.** Wait is a cancellation point; in a cancelled scope it
// returns CANCELLED even if the count is zero. A waiter that the last
// CountDown and a cancel reach at the same moment returns OK.
//
// **Order.** The last CountDown lets all go that wait. Nothing counts up
// again; for a meeting point that is used again and again there is Barrier.
#ifndef WEFT_SYNC_LATCH_H_
#define WEFT_SYNC_LATCH_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "weft/runtime/clock.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/internal/wall.h"
#include "weft/runtime/io.h"
#include "weft/sync/internal/latch_core.h"

namespace weft {

template <Backend B>
class Latch {
 public:
  using OwnerBackend = B;

  explicit Latch(uint32_t count) : core_(count) {}
  Latch(const Latch&) = delete;
  Latch& operator=(const Latch&) = delete;
  // Nobody may wait for it.
  ~Latch() = default;

  // Takes `by`, which is at most what is left, off the count. Does not block.
  template <IoType Given>
  void CountDown(Given& io, uint32_t by = 1) {
    internal::RequireSameBackend<B, Given>();
    core_.CountDown(io, by);
  }

  // Parks until the count is zero. OK, or CANCELLED or DEADLINE_EXCEEDED from
  // the scope.
  template <IoType Given>
  absl::Status Wait(Given& io) {
    internal::RequireSameBackend<B, Given>();
    return core_.Wait(io, kNever);
  }

  // As Wait, and DEADLINE_EXCEEDED after `span`.
  template <IoType Given>
  absl::Status WaitFor(Given& io, Duration span) {
    internal::RequireSameBackend<B, Given>();
    return core_.Wait(io, After(io.Now(), span));
  }

  // What is left, and how many tasks wait. Any thread; may be outdated at
  // once, but a count of zero stays.
  uint32_t count() const { return core_.count(); }
  size_t waiters() const { return core_.waiters(); }

 private:
  internal::LatchCore<internal::AtomicsOf<B>> core_;
};

}  // namespace weft

#endif  // WEFT_SYNC_LATCH_H_
