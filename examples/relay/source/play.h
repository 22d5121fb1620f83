// Play: the whole run of the source, and what came out of it.
#ifndef WEFT_EXAMPLES_RELAY_SOURCE_PLAY_H_
#define WEFT_EXAMPLES_RELAY_SOURCE_PLAY_H_

#include "absl/status/statusor.h"
#include "weft/backends/evented/evented.h"
#include "weft/examples/relay/json.h"
#include "weft/examples/relay/source/plan.h"

namespace relay {

struct Outcome {
  JsonObject figures;
  // Whether every healthy subscriber got every event once and in order, and
  // the slow one was cut off; the error says what was wrong.
  absl::Status verdict;
};

// Prints "upstreams <address>" and reads the line of the relay from standard
// input. Then plays the plan. An error if it could not be played.
absl::StatusOr<Outcome> Play(weft::Evented& io, const Plan& plan);

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_SOURCE_PLAY_H_
