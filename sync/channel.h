// Channel: hands values from tasks to tasks, with a bound on how many lie in
// between.
//
//   weft::Channel<Request, B> requests(/*capacity=*/16);
//   ...
//   absl::Status sent = requests.Send(io, std::move(request));
//   ...
//   for (auto request = requests.Receive(io); request.ok();
//        request = requests.Receive(io)) {
//     Serve(io, *std::move(request));
//   }
//
// Capacity 0 is a rendezvous: Send returns when a receiver has the value.
//
// **Threads.** Send and Receive: tasks of backend B. TrySend, TryReceive and
// Close: any thread. Any number of each. What happened before a Send is
// visible after the Receive of its value.
//
// **Cancelling.** Send and Receive are cancellation points; in a cancelled
// scope they return CANCELLED even if they would not have to wait. A value
// that was handed over when a cancel or a deadline comes is sent and is
// received; one that was not stays with its sender.
//
// **Order.** Values are received in the order in which they were sent, and
// those that wait are served in the order in which they came.
#ifndef WEFT_SYNC_CHANNEL_H_
#define WEFT_SYNC_CHANNEL_H_

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/internal/wall.h"
#include "weft/runtime/io.h"
#include "weft/sync/internal/channel_core.h"

namespace weft {
namespace internal {
struct SelectAccess;
}  // namespace internal

// T must be movable without exceptions. Its moves and the destructor of a
// value that was moved from must not park and not use the channel.
template <class T, Backend B>
class Channel {
 public:
  using OwnerBackend = B;

  // Up to `capacity` values lie in the channel.
  explicit Channel(size_t capacity) : core_(kType, capacity) {
    internal::RefuseForeignArguments<B, T>();
    static_assert(std::is_nothrow_move_constructible_v<T>,
                  "weft: values of a Channel must be movable without "
                  "exceptions, for a hand-over cannot fail half-way");
  }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  // Destroys the values that nobody received. Nobody may wait in it.
  ~Channel() = default;

  // Parks until there is room, or a receiver, and hands `value` over; it is
  // moved from exactly if the result is OK. FAILED_PRECONDITION if the channel
  // is closed or is closed meanwhile; CANCELLED or DEADLINE_EXCEEDED from the
  // scope.
  template <IoType Given>
  absl::Status Send(Given& io, T&& value) {
    internal::RequireSameBackend<B, Given>();
    return core_.Send(io, std::addressof(value));
  }

  // As Send, but RESOURCE_EXHAUSTED where Send would park.
  template <IoType Given>
  absl::Status TrySend(Given& io, T&& value) {
    internal::RequireSameBackend<B, Given>();
    return core_.TrySend(io, std::addressof(value));
  }

  // Parks until there is a value and returns it. OUT_OF_RANGE if the channel
  // is closed and no value is left; CANCELLED or DEADLINE_EXCEEDED from the
  // scope.
  template <IoType Given>
  absl::StatusOr<T> Receive(Given& io) {
    internal::RequireSameBackend<B, Given>();
    Place place;
    return place.Take(core_.Receive(io, std::addressof(place.value)));
  }

  // As Receive, but UNAVAILABLE where Receive would park.
  template <IoType Given>
  absl::StatusOr<T> TryReceive(Given& io) {
    internal::RequireSameBackend<B, Given>();
    Place place;
    return place.Take(core_.TryReceive(io, std::addressof(place.value)));
  }

  // Makes every Send fail, those that wait included: their values stay with
  // them. What lies in the channel can still be received. Does not block; no
  // effect the second time.
  template <IoType Given>
  void Close(Given& io) {
    internal::RequireSameBackend<B, Given>();
    core_.Close(io);
  }

  size_t capacity() const { return core_.capacity(); }

  // How many values lie in the channel, and the most there ever were. Any
  // thread; may be outdated at once.
  size_t size() const { return core_.size(); }
  size_t peak_size() const { return core_.peak_size(); }

  // How many tasks wait. Any thread; may be outdated at once.
  size_t waiting_senders() const { return core_.waiting_senders(); }
  size_t waiting_receivers() const { return core_.waiting_receivers(); }

 private:
  friend struct internal::SelectAccess;

  // Raw memory for one value.
  union Place {
    Place() {}
    ~Place() {}

    // The value, which exists if `status` is OK, or else the error.
    absl::StatusOr<T> Take(absl::Status status) {
      if (!status.ok()) return status;
      absl::StatusOr<T> result(std::move(value));
      std::destroy_at(std::addressof(value));
      return result;
    }

    T value;
  };

  static constexpr internal::ValueType kType = {
      .size = sizeof(T),
      .alignment = alignof(T),
      .move =
          [](void* to, void* from) noexcept {
            ::new (to) T(std::move(*static_cast<T*>(from)));
          },
      .destroy =
          [](void* value) noexcept {
            std::destroy_at(static_cast<T*>(value));
          }};

  internal::ChannelCore<internal::AtomicsOf<B>> core_;
};

}  // namespace weft

#endif  // WEFT_SYNC_CHANNEL_H_
