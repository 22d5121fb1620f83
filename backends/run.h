// Run: the backend that the options name, from its start to its end. The only
// header that names every backend.
//
//   int main() {
//     return weft::RunMain(weft::Options::FromEnvironment(),
//                          [](auto& io) { return Serve(io); });
//   }
#ifndef WEFT_BACKENDS_RUN_H_
#define WEFT_BACKENDS_RUN_H_

#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "weft/backends/evented/evented.h"
#include "weft/backends/threaded/threaded.h"
#include "weft/runtime/options.h"

namespace weft {
namespace internal {

// Writes "<program>: <message>" and a line end to standard error in one write.
void PrintError(const absl::Status& status);

// Writes the lines of StackUseReport to standard error.
void PrintStackUse();

inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;

}  // namespace internal

// Starts the backend that `options` name, calls `fn(io)` in a task of it with
// a Threaded& or an Evented&, and stops the backend. Returns what `fn`
// returns, void as an absl::Status and a plain T as an absl::StatusOr<T>; or
// why the backend or the task could not be started. Throws what `fn` throws.
// Blocks the calling thread, which must not be a worker of a backend.
template <class Fn>
auto Run(const Options& options, Fn&& fn) {
  using Result = typename internal::RootResult<
      internal::InvokeWithIoResult<Threaded, Fn&>>::type;
  const auto run = [&](auto created) -> Result {
    if (!created.ok()) return created.status();
    return (*created)->Run(fn);
  };
  return options.backend == BackendKind::kThreaded
             ? run(Threaded::Create(options))
             : run(Evented::Create(options));
}

// For main: as Run, with an exit code for a result, and with report_overflow
// unless the options say otherwise. An error is printed as one line. `fn`
// returns void, int (the exit code) or absl::Status. The code is 0 for OK, 2
// for INVALID_ARGUMENT and for a backend that did not start, and 1 for other
// errors.
template <class Fn>
int RunMain(const Options& options, Fn&& fn) {
  using Returned = internal::InvokeWithIoResult<Threaded, Fn&>;
  static_assert(std::is_void_v<Returned> || std::is_same_v<Returned, int> ||
                    std::is_same_v<Returned, absl::Status>,
                "weft: the function given to RunMain returns void, int or "
                "absl::Status");
  int code = internal::kExitUsage;
  Options chosen = options;
  if (!chosen.report_overflow.has_value()) chosen.report_overflow = true;
  const absl::Status status = Run(chosen, [&](auto& io) -> absl::Status {
    code = internal::kExitFailure;
    if constexpr (std::is_same_v<Returned, int>) {
      code = internal::InvokeWithIo(io, fn);
      return absl::OkStatus();
    } else {
      const absl::Status result = internal::CallAtRoot(io, fn);
      if (result.ok()) code = 0;
      return result;
    }
  });
  if (options.measure_stacks.value_or(false)) internal::PrintStackUse();
  if (!status.ok()) internal::PrintError(status);
  return absl::IsInvalidArgument(status) ? internal::kExitUsage : code;
}

}  // namespace weft

#endif  // WEFT_BACKENDS_RUN_H_
