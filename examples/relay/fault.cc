#include "weft/examples/relay/fault.h"

#include <cerrno>

#include "weft/runtime/status.h"

namespace relay {
namespace {

bool WasConnected(const absl::Status& status) {
  const int error = weft::Errno(status);
  return error == ECONNRESET || error == EPIPE;
}

}  // namespace

Fault FaultOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      return WasConnected(status) ? Fault::kReset : Fault::kRefused;
    case absl::StatusCode::kOutOfRange:
      return Fault::kEndedEarly;
    case absl::StatusCode::kDeadlineExceeded:
      return Fault::kReadTimeout;
    case absl::StatusCode::kInvalidArgument:
      return Fault::kGarbage;
    case absl::StatusCode::kDataLoss:
      return Fault::kChecksum;
    case absl::StatusCode::kFailedPrecondition:
      return Fault::kSequence;
    case absl::StatusCode::kResourceExhausted:
      return Fault::kResources;
    default:
      return Fault::kOther;
  }
}

Fault ConnectFaultOf(const absl::Status& status) {
  return absl::IsDeadlineExceeded(status) ? Fault::kConnectTimeout
                                          : FaultOf(status);
}

}  // namespace relay
