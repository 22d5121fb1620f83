// Broadcast: every value goes to every receiver; who is too slow misses some
// and is told how many.
//
//   weft::Broadcast<Price, B> prices(/*capacity=*/64);
//   ...
//   weft::BroadcastReceiver<Price, B> receiver(prices);
//   for (auto price = receiver.Receive(io); price.ok();
//        price = receiver.Receive(io)) {
//     if (price->missed > 0) Resynchronise();
//     Show(price->value);
//   }
//   ...
//   absl::Status sent = prices.Send(io, price);
//
// **Threads.** Receive: tasks of backend B, one at a time for each receiver.
// TryReceive, Send and Close: any thread. What happened before a Send is
// visible after the Receive of its value.
//
// **Cancelling.** Receive is a cancellation point; in a cancelled scope it
// returns CANCELLED even if there is a value. It then takes nothing: the next
// Receive gets what this one would have got.
//
// **Order.** Every receiver gets the values in the order in which they were
// sent, from the moment at which it was made.
#ifndef WEFT_SYNC_BROADCAST_H_
#define WEFT_SYNC_BROADCAST_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "weft/runtime/clock.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/internal/wall.h"
#include "weft/runtime/io.h"
#include "weft/sync/internal/broadcast_core.h"

namespace weft {
namespace internal {
struct SelectAccess;
}  // namespace internal

// What a receiver of a Broadcast gets.
template <class T>
struct Received {
  T value;
  // How many values before this one were overwritten before this receiver
  // came to them.
  uint64_t missed = 0;
};

template <class T, Backend B>
class BroadcastReceiver;

// T must be copyable; each receiver gets a copy.
template <class T, Backend B>
class Broadcast {
 public:
  using OwnerBackend = B;

  // A receiver may be `capacity` values behind, at least one, before it misses
  // some.
  explicit Broadcast(size_t capacity) : core_(capacity) {
    internal::RefuseForeignArguments<B, T>();
  }
  Broadcast(const Broadcast&) = delete;
  Broadcast& operator=(const Broadcast&) = delete;
  // After all its receivers.
  ~Broadcast() = default;

  // Never waits for a receiver: overwrites the oldest value. Does not block.
  // FAILED_PRECONDITION if the broadcast is closed.
  template <IoType Given>
  absl::Status Send(Given& io, T value) {
    internal::RequireSameBackend<B, Given>();
    return core_.Send(io, std::make_shared<const T>(std::move(value)));
  }

  // Makes every Send fail. What was sent can still be received. Does not
  // block; no effect the second time.
  template <IoType Given>
  void Close(Given& io) {
    internal::RequireSameBackend<B, Given>();
    core_.Close(io);
  }

  size_t capacity() const { return core_.capacity(); }

  // How many receivers there are, and how many of them wait. Any thread; may
  // be outdated at once.
  size_t receivers() const { return core_.receivers(); }
  size_t waiters() const { return core_.waiters(); }

 private:
  friend class BroadcastReceiver<T, B>;

  internal::BroadcastCore<internal::AtomicsOf<B>> core_;
};

// Gets what is sent from its construction on.
template <class T, Backend B>
class BroadcastReceiver {
 public:
  using OwnerBackend = B;

  // `broadcast` must outlive it.
  explicit BroadcastReceiver(Broadcast<T, B>& broadcast)
      : core_(broadcast.core_) {}
  BroadcastReceiver(const BroadcastReceiver&) = delete;
  BroadcastReceiver& operator=(const BroadcastReceiver&) = delete;
  // Nobody may be inside Receive.
  ~BroadcastReceiver() = default;

  // Parks until there is a value that this receiver has not had. OUT_OF_RANGE
  // if the broadcast is closed and all was received; CANCELLED or
  // DEADLINE_EXCEEDED from the scope.
  template <IoType Given>
  absl::StatusOr<Received<T>> Receive(Given& io) {
    internal::RequireSameBackend<B, Given>();
    return Copy(core_.Receive(io, kNever));
  }

  // As Receive, and DEADLINE_EXCEEDED after `span`.
  template <IoType Given>
  absl::StatusOr<Received<T>> ReceiveFor(Given& io, Duration span) {
    internal::RequireSameBackend<B, Given>();
    return Copy(core_.Receive(io, After(io.Now(), span)));
  }

  // As Receive, but UNAVAILABLE where Receive would park.
  template <IoType Given>
  absl::StatusOr<Received<T>> TryReceive(Given&) {
    internal::RequireSameBackend<B, Given>();
    return Copy(core_.TryReceive());
  }

 private:
  using Core = internal::BroadcastCore<internal::AtomicsOf<B>>;
  friend struct internal::SelectAccess;

  static absl::StatusOr<Received<T>> Copy(
      const absl::StatusOr<typename Core::Item>& item) {
    if (!item.ok()) return item.status();
    return Received<T>{.value = *static_cast<const T*>(item->value.get()),
                       .missed = item->missed};
  }

  typename Core::Receiver core_;
};

}  // namespace weft

#endif  // WEFT_SYNC_BROADCAST_H_
