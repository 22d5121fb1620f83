// From errno to absl::Status: the only place where the one becomes the other.
//
//   return weft::ErrnoStatus(ECONNREFUSED, "connect 127.0.0.1:80");
//   // UNAVAILABLE: connect 127.0.0.1:80: connection refused
//   if (weft::Errno(status) == ECONNREFUSED) ...
//
// Messages are lower case, without a full stop, operation and subject first.
#ifndef WEFT_RUNTIME_STATUS_H_
#define WEFT_RUNTIME_STATUS_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "weft/runtime/scope.h"

namespace weft {

// The status for an errno value. `what` says what was tried and on what. An
// unknown value becomes UNKNOWN with its number. 0 is OK.
absl::Status ErrnoStatus(int error, std::string_view what);

// The errno that `status` was made from, or 0 if it was made otherwise.
int Errno(const absl::Status& status);

namespace internal {

// The status for a negative result of Io::Perform. -ECANCELED and -ETIME are
// cancelled and deadline exceeded.
absl::Status ResultStatus(int64_t result, std::string_view what);

// OK, CANCELLED or DEADLINE_EXCEEDED.
absl::Status InterruptionStatus(Interruption interruption,
                                std::string_view what);

// What Perform returns for an interruption: 0, -ECANCELED or -ETIME.
int64_t InterruptionResult(Interruption interruption);

}  // namespace internal
}  // namespace weft

#endif  // WEFT_RUNTIME_STATUS_H_
