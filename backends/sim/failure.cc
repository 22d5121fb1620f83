#include "weft/backends/sim/failure.h"

namespace weft::sim {

const char* Name(FailureKind kind) {
  switch (kind) {
    case FailureKind::kExpectation:
      return "expectation";
    case FailureKind::kException:
      return "exception";
    case FailureKind::kCheck:
      return "check";
    case FailureKind::kDeadlock:
      return "deadlock";
    case FailureKind::kLivelock:
      return "livelock";
    case FailureKind::kLeakedTask:
      return "leak";
    case FailureKind::kDivergence:
      return "divergence";
    case FailureKind::kOptions:
      return "options";
  }
  return "";
}

}  // namespace weft::sim
