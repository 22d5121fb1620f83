// Makes a failing schedule smaller.
#ifndef WEFT_BACKENDS_SIM_INTERNAL_SHRINK_H_
#define WEFT_BACKENDS_SIM_INTERNAL_SHRINK_H_

#include <functional>
#include <vector>

#include "weft/backends/sim/internal/replay.h"

namespace weft::sim {

// What became of a try.
enum class Attempt {
  kFails,   // as before
  kPasses,  // or fails in another way
  kStop,    // was not made: enough is enough
};

// Takes switches away, many at once and then fewer, as long as `attempt` says
// that the schedule with the others fails. No single one of those that are
// returned can be missed, unless `attempt` stopped it.
std::vector<Switch> Shrink(
    std::vector<Switch> switches,
    const std::function<Attempt(const std::vector<Switch>&)>& attempt);

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_INTERNAL_SHRINK_H_
