// Plan: what the source plays, when each upstream sends, and what goes wrong.
#ifndef WEFT_EXAMPLES_RELAY_SOURCE_PLAN_H_
#define WEFT_EXAMPLES_RELAY_SOURCE_PLAN_H_

#include <chrono>
#include <cstdint>
#include <random>
#include <vector>

#include "weft/examples/relay/source/misbehave.h"
#include "weft/runtime/clock.h"
#include "weft/runtime/options.h"

namespace relay {

struct Plan {
  weft::Options weft = weft::Options::FromEnvironment();

  uint64_t upstreams = 2800;   // well-behaved ones
  uint64_t faulty = 6;         // more, which misbehave and then go on
  uint64_t subscribers = 4;    // well-behaved ones; there is a slow one too
  uint64_t rate = 5000;        // events a second, of all upstreams together
  uint64_t seconds = 10;       // how long events are sent
  uint64_t payload_size = 64;  // bytes of an event
  uint64_t seed = 1;

  // What faulty upstreams do, in turn, and how many times each of them does
  // something.
  std::vector<Misdeed> misdeeds = {Misdeed::kReset,  Misdeed::kGarbage,
                                   Misdeed::kStall,  Misdeed::kClose,
                                   Misdeed::kDamage, Misdeed::kSkip};
  uint64_t misdeeds_each = 1;
  // For how long, once, all upstreams are gone and connects are refused.
  weft::Duration outage{0};
  // After how long without an event an upstream sends a heartbeat.
  weft::Duration heartbeat = std::chrono::seconds(10);

  uint64_t all_upstreams() const { return upstreams + faulty; }
  weft::Duration length() const { return std::chrono::seconds(seconds); }
  // When the outage begins, counted from the start.
  weft::Duration outage_start() const { return length() / 3; }
};

struct PlannedMisdeed {
  weft::Duration when;  // counted from the start
  Misdeed misdeed;
};

// What an upstream is going to do that it should not, in order. The same plan
// gives the same misdeeds.
std::vector<PlannedMisdeed> MisdeedsOf(const Plan& plan, uint32_t upstream);

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
