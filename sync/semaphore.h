// Semaphore: a number of permits.
//
//   weft::Semaphore<B> places(/*initial=*/8, /*max=*/8);
//   ...
//   if (absl::Status status = places.Acquire(io); !status.ok()) return status;
//   absl::Cleanup release = [&] { places.Release(io); };
//
// **Threads.** Acquire: tasks of backend B. TryAcquire and Release: any
// thread; whoever releases need not be who acquired. What happened before
// Release is visible to whom its permits go. A task whose Acquire returned may
// destroy the semaphore if no other call is running but the Release that let
// it go.
//
// **Cancelling.** Acquire is a cancellation point; in a cancelled scope it
// returns CANCELLED even if there are permits. A waiter that was given its
// permits returns OK even if it was cancelled at the same moment: a permit is
// never lost.
//
// **Order.** First come, first served: nobody passes a waiter, also not for
// fewer permits, so one that wants many is not starved.
#ifndef WEFT_SYNC_SEMAPHORE_H_
#define WEFT_SYNC_SEMAPHORE_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "weft/runtime/clock.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/internal/wall.h"
#include "weft/runtime/io.h"
#include "weft/sync/internal/semaphore_core.h"

namespace weft {

template <Backend B>
class Semaphore {
 public:
  using OwnerBackend = B;

  // `initial` permits now, and never more than `max`.
  Semaphore(uint32_t initial, uint32_t max) : core_(initial, max) {}
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;
  // Nobody may wait for it.
  ~Semaphore() { Atomics::Gone(&core_); }

  // Parks until it has taken `count` permits, all at once; `count` is at most
  // the maximum. OK, or CANCELLED or DEADLINE_EXCEEDED from the scope.
  template <IoType Given>
  absl::Status Acquire(Given& io, uint32_t count = 1) {
    internal::RequireSameBackend<B, Given>();
    return AcquireUntil(io, count, kNever);
  }

  // Takes `count` permits if there are as many and nobody waits. Does not
  // block.
  template <IoType Given>
  [[nodiscard]] bool TryAcquire(Given&, uint32_t count = 1) {
    internal::RequireSameBackend<B, Given>();
    if (!core_.TryAcquire(count)) return false;
    NoteAcquired(count);
    return true;
  }

  // As Acquire, and DEADLINE_EXCEEDED after `span`.
  template <IoType Given>
  absl::Status AcquireFor(Given& io, Duration span, uint32_t count = 1) {
    internal::RequireSameBackend<B, Given>();
    return AcquireUntil(io, count, After(io.Now(), span));
  }

  // Gives `count` permits back, to waiters first. Does not block.
  template <IoType Given>
  void Release(Given& io, uint32_t count = 1) {
    internal::RequireSameBackend<B, Given>();
    Atomics::Releasing(&core_, count);
    core_.Release(io, count);
  }

  // How many permits are free and how many tasks wait. Any thread; may be
  // outdated at once.
  uint32_t permits() const { return core_.permits(); }
  size_t waiters() const { return core_.waiters(); }

 private:
  using Atomics = internal::AtomicsOf<B>;

  absl::Status AcquireUntil(Io& io, uint32_t count, MonotonicTime deadline) {
    absl::Status status = core_.Acquire(io, count, deadline);
    if (status.ok()) NoteAcquired(count);
    return status;
  }
  void NoteAcquired(uint32_t count) {
    Atomics::Acquired({.object = &core_,
                       .what = "semaphore",
                       .mode = internal::Held::Mode::kLoose,
                       .count = count});
  }

  internal::SemaphoreCore<Atomics> core_;
};

}  // namespace weft

#endif  // WEFT_SYNC_SEMAPHORE_H_
