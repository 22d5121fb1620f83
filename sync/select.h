// Select: waits for several things and does the first that can be done.
//
//   absl::StatusOr<size_t> chosen = weft::Select(
//       io,
//       weft::OnReceive(requests, [&](absl::StatusOr<Request> r) { ... }),
//       weft::OnSend(results, std::move(result), [&](absl::Status s) { ... }),
//       weft::OnEvent(stop, [&] { ... }),
//       weft::OnEnd(future, [&] { Use(future.Await(io)); }),
//       weft::After(5ms, [&] { ... }));
//
// Carries out exactly one branch, calls its handler, and returns the number of
// the branch, counted from 0. What a branch that was not chosen would have
// taken or given stays where it is: the value of OnSend is moved from only if
// it was sent. A handler runs in the calling task when the waiting is over: it
// may park, throw or call Select. OnReceive and OnSend need one, for it learns
// whether the channel was closed; the others may do without.
//
// A branch refers to what it is about, so it is made inside the call.
//
// **Threads.** Tasks of the backend that all branches belong to.
//
// **Cancelling.** Select is a cancellation point: CANCELLED or
// DEADLINE_EXCEEDED from the scope means that no branch was carried out and no
// handler called. If a branch was carried out when a cancel or a deadline
// comes, it counts.
//
// **Order.** Of several branches that can be carried out at once, each is
// chosen with the same probability. While it waits, a Select stands in line in
// each channel like any other task. After is chosen only if nothing else was
// for so long; After(0ns) therefore means: if nothing else can be done now.
#ifndef WEFT_SYNC_SELECT_H_
#define WEFT_SYNC_SELECT_H_

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "weft/runtime/clock.h"
#include "weft/runtime/future.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/internal/wall.h"
#include "weft/runtime/io.h"
#include "weft/sync/broadcast.h"
#include "weft/sync/channel.h"
#include "weft/sync/event.h"
#include "weft/sync/internal/broadcast_core.h"
#include "weft/sync/internal/channel_core.h"
#include "weft/sync/internal/event_core.h"
#include "weft/sync/internal/select_core.h"

namespace weft {
namespace internal {

struct SelectAccess {
  template <class Primitive>
  static auto& Core(Primitive& primitive) {
    return primitive.core_;
  }
  template <class Receiver>
  static auto TakeFrom(Receiver& receiver) {
    return Receiver::Copy(receiver.core_.TryReceive());
  }
  // For its type only.
  template <class T, class B>
  static typename Channel<T, B>::Place PlaceIn(Channel<T, B>&);
};

template <class B>
using ChannelBranch = typename ChannelCore<AtomicsOf<B>>::Branch;

template <class T, class B, class Handler>
class [[nodiscard]] ReceiveBranch final : public ChannelBranch<B> {
 public:
  using OwnerBackend = B;

  template <class Fn>
  ReceiveBranch(Channel<T, B>& channel, Fn&& handler)
      : ChannelBranch<B>(SelectAccess::Core(channel),
                         ChannelBranch<B>::Side::kReceive,
                         std::addressof(place_.value)),
        handler_(std::forward<Fn>(handler)) {}

  void Handle() {
    std::invoke(std::move(handler_), place_.Take(this->Result()));
  }

 private:
  decltype(SelectAccess::PlaceIn(std::declval<Channel<T, B>&>())) place_;
  Handler handler_;
};

template <class B, class Handler>
class [[nodiscard]] SendBranch final : public ChannelBranch<B> {
 public:
  using OwnerBackend = B;

  template <class T, class Fn>
  SendBranch(Channel<T, B>& channel, T& value, Fn&& handler)
      : ChannelBranch<B>(SelectAccess::Core(channel),
                         ChannelBranch<B>::Side::kSend, std::addressof(value)),
        handler_(std::forward<Fn>(handler)) {}

  void Handle() { std::invoke(std::move(handler_), this->Result()); }

 private:
  Handler handler_;
};

template <class T, class B, class Handler>
class [[nodiscard]] BroadcastBranch final
    : public BroadcastCore<AtomicsOf<B>>::Branch {
 public:
  using OwnerBackend = B;

  template <class Fn>
  BroadcastBranch(BroadcastReceiver<T, B>& receiver, Fn&& handler)
      : BroadcastBranch::Branch(SelectAccess::Core(receiver)),
        receiver_(receiver),
        handler_(std::forward<Fn>(handler)) {}

  void Handle() {
    std::invoke(std::move(handler_), SelectAccess::TakeFrom(receiver_));
  }

 private:
  BroadcastReceiver<T, B>& receiver_;
  Handler handler_;
};

// A branch of kind Core whose handler takes nothing.
template <class B, class Core, class Handler>
class [[nodiscard]] PlainBranch final : public Core {
 public:
  using OwnerBackend = B;

  template <class About, class Fn>
  PlainBranch(About&& about, Fn&& handler)
      : Core(std::forward<About>(about)), handler_(std::forward<Fn>(handler)) {}

  void Handle() { std::invoke(std::move(handler_)); }

 private:
  Handler handler_;
};

// A time belongs to no backend: the Select that it is given to makes it one of
// its branches.
template <class Handler>
class [[nodiscard]] AfterBranch final : public AnySelectBranch {
 public:
  using OwnerBackend = void;

  template <class Fn>
  AfterBranch(Duration span, Fn&& handler)
      : span_(span), handler_(std::forward<Fn>(handler)) {}

  Duration span() const { return span_; }
  void Handle() { std::invoke(std::move(handler_)); }

 private:
  const Duration span_;
  Handler handler_;
};

// The branch of a Select that was made from `branch`.
template <class Atomics, class Branch>
SelectBranch<Atomics>& BranchFor(Branch& branch) {
  return branch;
}
template <class Atomics, class Handler>
TimerBranch<Atomics> BranchFor(AfterBranch<Handler>& branch) {
  return TimerBranch<Atomics>(branch.span());
}

inline constexpr auto kNoHandler = [] {};
using NoHandler = std::remove_const_t<decltype(kNoHandler)>;

template <class Branch, class Given>
constexpr void CheckSelectBranch() {
  using Type = std::remove_reference_t<Branch>;
  static_assert(std::is_base_of_v<AnySelectBranch, Type>,
                "weft: the branches of a Select are made by OnReceive, OnSend, "
                "OnEvent, OnEnd and After");
  static_assert(!std::is_lvalue_reference_v<Branch>,
                "weft: a branch of a Select is made inside the call, for it "
                "refers to what it was made from");
  if constexpr (!std::is_void_v<typename Type::OwnerBackend>) {
    RequireSameBackend<typename Type::OwnerBackend, Given>();
  }
}

}  // namespace internal

// Receives a value: `handler(absl::StatusOr<T>)` gets what Channel::Receive
// would have returned, the value or OUT_OF_RANGE.
template <class T, Backend B, class Handler>
auto OnReceive(Channel<T, B>& channel, Handler&& handler) {
  return internal::ReceiveBranch<T, B, std::decay_t<Handler>>(
      channel, std::forward<Handler>(handler));
}

// Receives from a broadcast: `handler(absl::StatusOr<Received<T>>)`.
template <class T, Backend B, class Handler>
auto OnReceive(BroadcastReceiver<T, B>& receiver, Handler&& handler) {
  return internal::BroadcastBranch<T, B, std::decay_t<Handler>>(
      receiver, std::forward<Handler>(handler));
}

// Sends `value`: `handler(absl::Status)` gets what Channel::Send would have
// returned, OK or FAILED_PRECONDITION. `value` is moved from exactly if the
// handler gets OK.
template <class T, Backend B, class Handler>
auto OnSend(Channel<T, B>& channel, std::type_identity_t<T>&& value,
            Handler&& handler) {
  return internal::SendBranch<B, std::decay_t<Handler>>(
      channel, value, std::forward<Handler>(handler));
}

// Is there when the event is set: `handler()`.
template <Backend B, class Handler = internal::NoHandler>
auto OnEvent(Event<B>& event, Handler&& handler = Handler()) {
  return internal::PlainBranch<
      B, typename internal::EventCore<internal::AtomicsOf<B>>::Branch,
      std::decay_t<Handler>>(internal::SelectAccess::Core(event),
                             std::forward<Handler>(handler));
}

// Is there when the task has ended: `handler()`. Await will then not park. A
// cancel or a deadline of the scope is not passed on to the task.
template <class T, IoType B, class Handler = internal::NoHandler>
auto OnEnd(Future<T, B>& future, Handler&& handler = Handler()) {
  return internal::PlainBranch<B, internal::EndBranch<internal::AtomicsOf<B>>,
                               std::decay_t<Handler>>(
      internal::FutureMaker::TaskOf(future), std::forward<Handler>(handler));
}

// Is there when Select has waited for `span`: `handler()`.
template <class Handler = internal::NoHandler>
auto After(Duration span, Handler&& handler = Handler()) {
  return internal::AfterBranch<std::decay_t<Handler>>(
      span, std::forward<Handler>(handler));
}

// Parks until one of the branches can be carried out, and does that. Up to 20
// branches. The number of the branch, or CANCELLED or DEADLINE_EXCEEDED from
// the scope. An exception that leaves the handler leaves Select.
template <IoType Given, class... Branches>
absl::StatusOr<size_t> Select(Given& io, Branches&&... branches) {
  (internal::CheckSelectBranch<Branches, Given>(), ...);
  static_assert(sizeof...(Branches) >= 1 &&
                    sizeof...(Branches) <= internal::kMaxSelectBranches,
                "weft: a Select has 1 to 20 branches");
  using Atomics = internal::AtomicsOf<Given>;
  const auto run = [&io](auto&&... all) {
    const std::array<internal::SelectBranch<Atomics>*, sizeof...(all)>
        pointers = {&all...};
    return internal::RunSelect(io, pointers);
  };
  absl::StatusOr<size_t> chosen =
      run(internal::BranchFor<Atomics>(branches)...);
  if (!chosen.ok()) return chosen;
  size_t index = 0;
  (void)((index++ == *chosen && (branches.Handle(), true)) || ...);
  return chosen;
}

}  // namespace weft

#endif  // WEFT_SYNC_SELECT_H_
