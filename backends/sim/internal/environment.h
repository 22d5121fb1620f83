// What the environment says about explorations.
#ifndef WEFT_BACKENDS_SIM_INTERNAL_ENVIRONMENT_H_
#define WEFT_BACKENDS_SIM_INTERNAL_ENVIRONMENT_H_

#include "absl/status/status.h"
#include "weft/backends/sim/explore.h"

namespace weft::sim {

// Sets the options that WEFT_REPLAY and the WEFT_SIM_ variables name.
// INVALID_ARGUMENT names the variable that is unknown or has an impossible
// value.
absl::Status ApplyEnvironment(ExploreOptions& options);

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_INTERNAL_ENVIRONMENT_H_
