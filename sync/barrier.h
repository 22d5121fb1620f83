// Barrier: a fixed number of tasks meet, again and again.
//
//   weft::Barrier<B> round(/*parties=*/4);
//   ...
//   for (Part& part : parts) {                    // in each of the four
//     Compute(part);
//     if (absl::Status status = round.Wait(io); !status.ok()) return status;
//   }
//
// **Threads.** Tasks of backend B. What each of them did before Wait is
// visible to all of them after it. It may be destroyed when every Wait has
// returned.
//
// **Cancelling.** Wait is a cancellation point; in a cancelled scope it
// returns at once and does not count as an arrival. The arrival of a waiter
// that gives up is withdrawn: the others are not disturbed and go on waiting
// until as many as the barrier was made for are there, be it the same task
// again or another in its place. Who gives up while the last one arrives
// either returns OK, and all others do, too, or has not arrived: there is no
// meeting of which some take part and some do not.
//
// **Order.** The arrivals of one round are let go together. Whoever comes
// after that belongs to the next round.
#ifndef WEFT_SYNC_BARRIER_H_
#define WEFT_SYNC_BARRIER_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "weft/runtime/clock.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/internal/wall.h"
#include "weft/runtime/io.h"
#include "weft/sync/internal/barrier_core.h"

namespace weft {

template <Backend B>
class Barrier {
 public:
  using OwnerBackend = B;

  // For `parties` tasks, at least one.
  explicit Barrier(uint32_t parties) : core_(parties) {}
  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;
  // Nobody may wait in it.
  ~Barrier() = default;

  // Arrives and parks until all have. OK: all are there, and the next round
  // has begun. CANCELLED or DEADLINE_EXCEEDED from the scope: the arrival was
  // withdrawn.
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

  // How many tasks meet.
  uint32_t parties() const { return core_.parties(); }

  // How many have arrived in this round. Any thread; may be outdated at once.
  size_t waiters() const { return core_.waiters(); }

 private:
  internal::BarrierCore<internal::AtomicsOf<B>> core_;
};

}  // namespace weft

#endif  // WEFT_SYNC_BARRIER_H_
