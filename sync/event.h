// Event: a flag to wait for.
//
//   weft::Event<B> ready;
//   group.Spawn([&](B& io) { Prepare(io); ready.Set(io); });
//   absl::Status status = ready.Wait(io);
//
// **Threads.** Wait: tasks of backend B. Set, Reset and IsSet: any thread.
// What happened before Set is visible after Wait. A task that Wait let go may
// destroy the event if no other waits.
//
// **Cancelling.** Wait is a cancellation point; in a cancelled scope it
// returns CANCELLED even if the event is set. If Set and a cancel reach a
// waiter at the same moment, it returns OK.
//
// **Order.** Set lets all tasks go that wait at that moment, even if Reset
// follows at once. Reset does not disturb those that wait.
#ifndef WEFT_SYNC_EVENT_H_
#define WEFT_SYNC_EVENT_H_

#include <cstddef>

#include "absl/status/status.h"
#include "weft/runtime/clock.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/internal/wall.h"
#include "weft/runtime/io.h"
#include "weft/sync/internal/event_core.h"

namespace weft {
namespace internal {
struct SelectAccess;
}  // namespace internal

template <Backend B>
class Event {
 public:
  using OwnerBackend = B;

  // Not set.
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  // Nobody may wait for it.
  ~Event() = default;

  // Sets the event and wakes all that wait. Does not block; no effect if it
  // is set.
  template <IoType Given>
  void Set(Given& io) {
    internal::RequireSameBackend<B, Given>();
    core_.Set(io);
  }

  // Makes the next Wait park again. Does not block and wakes nobody.
  void Reset() { core_.Reset(); }

  // May be outdated at once.
  bool IsSet() const { return core_.IsSet(); }

  // Parks until the event is set, or was set and reset since the call. OK, or
  // CANCELLED or DEADLINE_EXCEEDED from the scope.
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

  // How many tasks wait. Any thread; may be outdated at once.
  size_t waiters() const { return core_.waiters(); }

 private:
  friend struct internal::SelectAccess;

  internal::EventCore<internal::AtomicsOf<B>> core_;
};

}  // namespace weft

#endif  // WEFT_SYNC_EVENT_H_
