// A user's function with its arguments, and what came of it.
#ifndef WEFT_RUNTIME_INTERNAL_CALL_H_
#define WEFT_RUNTIME_INTERNAL_CALL_H_

#include <exception>
#include <functional>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace weft::internal {

// Calls `fn(io, arguments...)`, or `fn(arguments...)` if it takes no Io.
template <class B, class Fn, class... Arguments>
decltype(auto) InvokeWithIo(B& io, Fn&& fn, Arguments&&... arguments) {
  if constexpr (std::is_invocable_v<Fn&&, B&, Arguments&&...>) {
    return std::invoke(std::forward<Fn>(fn), io,
                       std::forward<Arguments>(arguments)...);
  } else {
    return std::invoke(std::forward<Fn>(fn),
                       std::forward<Arguments>(arguments)...);
  }
}

template <class B, class Fn, class... Arguments>
using InvokeWithIoResult = decltype(InvokeWithIo(
    std::declval<B&>(), std::declval<Fn>(), std::declval<Arguments>()...));

// The arguments are moved into the call, once.
template <class B, class Fn, class... Arguments>
class BoundCall {
 public:
  using Result = InvokeWithIoResult<B, Fn, Arguments...>;

  template <class F, class... As>
  explicit BoundCall(B& io, F&& fn, As&&... arguments)
      : io_(io),
        fn_(std::forward<F>(fn)),
        arguments_(std::forward<As>(arguments)...) {}

  Result operator()() {
    return std::apply(
        [this](Arguments&... arguments) -> Result {
          return InvokeWithIo(io_, std::move(fn_), std::move(arguments)...);
        },
        arguments_);
  }

 private:
  B& io_;
  Fn fn_;
  std::tuple<Arguments...> arguments_;
};

// The value or the exception that a call ended with.
template <class R>
class Outcome {
 public:
  template <class Call>
  void Capture(Call&& call) noexcept {
    try {
      if constexpr (std::is_void_v<R>) {
        std::forward<Call>(call)();
      } else {
        value_.emplace(std::forward<Call>(call)());
      }
    } catch (...) {
      exception_ = std::current_exception();
    }
  }

  // Gives the value away or throws the exception. At most once.
  R Take() {
    if (exception_ != nullptr) {
      std::rethrow_exception(std::exchange(exception_, nullptr));
    }
    if constexpr (!std::is_void_v<R>) return *std::move(value_);
  }

 private:
  struct Nothing {};
  std::conditional_t<std::is_void_v<R>, Nothing, std::optional<R>> value_;
  std::exception_ptr exception_;
};

// What running a function at the root of a backend returns: starting it may
// fail, so there is always room for a Status.
template <class R>
struct RootResult {
  using type = absl::StatusOr<R>;
};
template <>
struct RootResult<void> {
  using type = absl::Status;
};
template <>
struct RootResult<absl::Status> {
  using type = absl::Status;
};
template <class T>
struct RootResult<absl::StatusOr<T>> {
  using type = absl::StatusOr<T>;
};

// Calls `fn(io)` or `fn()`.
template <class B, class Fn>
typename RootResult<InvokeWithIoResult<B, Fn&>>::type CallAtRoot(B& io,
                                                                 Fn& fn) {
  if constexpr (std::is_void_v<InvokeWithIoResult<B, Fn&>>) {
    InvokeWithIo(io, fn);
    return absl::OkStatus();
  } else {
    return InvokeWithIo(io, fn);
  }
}

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_INTERNAL_CALL_H_
