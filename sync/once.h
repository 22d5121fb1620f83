// Once: runs a function once, however many tasks ask for it.
//
//   weft::Once<B> opened;
//   std::optional<Store> store;
//   ...
//   absl::Status status = opened.Run(io, [&](B& io) -> absl::Status {
//     ...
//     store = Store::Open(io, path);
//   });
//   if (!status.ok()) return status;
//   store->Read(io, key);
//
// **Threads.** Tasks of backend B. What the function did is visible to every
// task whose Run returned OK.
//
// **Cancelling.** Run is a cancellation point until the function has
// succeeded; after that it returns OK at once, also in a cancelled scope. A
// cancel of the task that runs the function is the function's own affair; if
// it makes the function fail, the next task tries.
//
// **Order.** The function runs in the task that came first. If it fails, it
// runs again in the one that has waited longest, and so on; if nobody waits,
// in the next that comes.
#ifndef WEFT_SYNC_ONCE_H_
#define WEFT_SYNC_ONCE_H_

#include <cstddef>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "weft/runtime/clock.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/internal/call.h"
#include "weft/runtime/internal/wall.h"
#include "weft/runtime/io.h"
#include "weft/sync/internal/once_core.h"

namespace weft {

template <Backend B>
class Once {
 public:
  using OwnerBackend = B;

  Once() = default;
  Once(const Once&) = delete;
  Once& operator=(const Once&) = delete;
  // Nobody may be inside Run.
  ~Once() = default;

  // OK once the function has succeeded, in this task or another. Calls
  // `fn(io)` or `fn()` if it is this task's turn, and parks while another
  // runs it. The function returns nothing or a Status, and has failed if that
  // is an error or if it throws; only the task that ran it gets to see that.
  // CANCELLED or DEADLINE_EXCEEDED from the scope. The function may not call
  // Run of the same Once.
  template <IoType Given, class Fn>
  absl::Status Run(Given& io, Fn&& fn) {
    internal::RequireSameBackend<B, Given>();
    return RunUntil(io, kNever, std::forward<Fn>(fn));
  }

  // As Run, and DEADLINE_EXCEEDED if others run the function for longer than
  // `span`. Does not limit the function itself.
  template <IoType Given, class Fn>
  absl::Status RunFor(Given& io, Duration span, Fn&& fn) {
    internal::RequireSameBackend<B, Given>();
    return RunUntil(io, After(io.Now(), span), std::forward<Fn>(fn));
  }

  // True once the function has succeeded. Any thread.
  bool done() const { return core_.done(); }

  // How many tasks wait. Any thread; may be outdated at once.
  size_t waiters() const { return core_.waiters(); }

 private:
  using Core = internal::OnceCore<internal::AtomicsOf<B>>;
  using Turn = typename Core::Turn;

  template <IoType Given, class Fn>
  absl::Status RunUntil(Given& io, MonotonicTime deadline, Fn&& fn) {
    if (core_.done()) return absl::OkStatus();
    const absl::StatusOr<Turn> turn = core_.Begin(io, deadline);
    if (!turn.ok()) return turn.status();
    if (*turn == Turn::kDone) return absl::OkStatus();
    absl::Status status;
    try {
      status = Call(io, std::forward<Fn>(fn));
    } catch (...) {
      core_.Fail(io);
      throw;
    }
    status.ok() ? core_.Succeed(io) : core_.Fail(io);
    return status;
  }

  template <IoType Given, class Fn>
  static absl::Status Call(Given& io, Fn&& fn) {
    using Result = internal::InvokeWithIoResult<Given, Fn>;
    static_assert(
        std::is_void_v<Result> || std::is_same_v<Result, absl::Status>,
        "weft: the function of a Once returns nothing or absl::Status");
    if constexpr (std::is_void_v<Result>) {
      internal::InvokeWithIo(io, std::forward<Fn>(fn));
      return absl::OkStatus();
    } else {
      return internal::InvokeWithIo(io, std::forward<Fn>(fn));
    }
  }

  Core core_;
};

}  // namespace weft

#endif  // WEFT_SYNC_ONCE_H_
