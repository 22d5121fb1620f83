// Plan: what the source plays, and when each upstream sends.
#ifndef WEFT_EXAMPLES_RELAY_SOURCE_PLAN_H_
#define WEFT_EXAMPLES_RELAY_SOURCE_PLAN_H_

#include <cstdint>
#include <random>

#include "weft/runtime/clock.h"
#include "weft/runtime/options.h"

namespace relay {

struct Plan {
  weft::Options weft = weft::Options::FromEnvironment();

  uint64_t upstreams = 2800;   // well-behaved ones
  uint64_t faulty = 6;         // more, each with a fault of its own
  uint64_t subscribers = 4;    // well-behaved ones; there is a slow one too
  uint64_t rate = 5000;        // events a second, of all upstreams together
  uint64_t seconds = 10;       // how long events are sent
  uint64_t payload_size = 64;  // bytes of an event
  uint64_t seed = 1;

  weft::Duration length() const { return std::chrono::seconds(seconds); }
};

// The times at which one upstream sends: at random, as many independent
// sources would. One upstream in fifty sends often, the others rarely. The same
// plan gives the same times.
class Schedule {
 public:
  Schedule(const Plan& plan, uint32_t upstream);

  // When to send next, counted from the start.
  weft::Duration Next();

 private:
  std::mt19937_64 random_;
  std::exponential_distribution<double> gap_seconds_;
  double seconds_ = 0;
};

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_SOURCE_PLAN_H_
