// FindFailure: runs a body in many schedules, until one of them fails.
//
//   weft::sim::ExploreResult result = weft::sim::FindFailure(
//       {.schedules = 1'000, .strategy = "random"}, [](weft::Sim& io) { ... });
//   std::puts(result.report.c_str());
//
// This is for tools; tests use Explore in gtest.h, which stands on it.
//
// The body is called once for each schedule, so it makes everything anew that
// it changes. It must do the same whenever the same tasks run in the same
// order. What is random, what depends on time, and everything that waits comes
// from its Sim.
//
// **Failures** are named in failure.h. A crash by a signal ends the program as
// it would without Sim, after a line with the token; all others end the
// exploration. The schedule is then shrunk: faults are dropped and as many
// switches as possible are taken back, as long as it fails in the same way.
// After a deadlock, a livelock or a failed check the tasks are left where they
// stand, and what they hold is never freed.
//
// **Environment.** These override the options of every exploration:
//   WEFT_REPLAY=<token>      runs the one schedule that the token describes
//   WEFT_SIM_SCHEDULES=<n>   WEFT_SIM_STRATEGY=<name>
//   WEFT_SIM_SEED=<n>        WEFT_SIM_TIME=<duration, as 500ms or 10m>
//
// **Threads.** The calling thread, which must not be a worker of a backend,
// runs everything. Several threads may explore at the same time.
#ifndef WEFT_BACKENDS_SIM_EXPLORE_H_
#define WEFT_BACKENDS_SIM_EXPLORE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "weft/backends/sim/failure.h"
#include "weft/backends/sim/faults.h"
#include "weft/backends/sim/sim.h"
#include "weft/backends/sim/switch_faults.h"
#include "weft/runtime/clock.h"

namespace weft::sim {

struct ExploreOptions {
  // How many schedules to run at most.
  uint64_t schedules = 10'000;
  // As in strategy.h.
  std::string strategy = "portfolio";
  // All that is random follows from it.
  uint64_t seed = 1;
  // Real time after which no further schedule is begun; 0: no limit. One
  // schedule is run in any case.
  Duration time = Duration(0);
  // The token of a failure: runs that schedule only, with the faults, the
  // switch faults and the limits on steps of the token.
  std::string replay = {};
  // What goes wrong, apart from the order of things. One by one, `schedules`
  // counts those with a fault, too.
  FaultOptions faults = {};
  SwitchFaultOptions switch_faults = {};
  // The eighth schedule and each one whose number is a multiple of this is run
  // twice, to see whether the body does the same again. 0: none is.
  uint64_t repeat_every = 128;
  // Real time for which a task may block the thread by means of its own, as by
  // a std::mutex; then the program ends with a message. 0: for ever.
  Duration blocked_limit = std::chrono::seconds(10);
  // Look for a shorter schedule with the same failure.
  bool shrink = true;

  // As in Options; the others do not apply.
  std::optional<size_t> stack_size = std::nullopt;
  std::optional<uint32_t> max_tasks = std::nullopt;

  // As in SimOptions.
  uint64_t unfair_steps = 10'000;
  uint64_t max_steps = 100'000;
};

struct ExploreResult {
  // Of the first schedule that failed, after shrinking.
  std::optional<Failure> failure;
  // Replays it; empty if there is nothing to replay.
  std::string token;
  // For people: the failure, the tasks, the last steps, and how to replay it.
  // Without a failure, one line with the numbers below.
  std::string report;

  // Schedules that ran, the failed one included, what shrinking ran excluded.
  uint64_t schedules = 0;
  // Scheduling points in them.
  uint64_t points = 0;
  // Different ones among them; counted up to kMostDistinct.
  uint64_t distinct = 0;
  static constexpr uint64_t kMostDistinct = uint64_t{1} << 17;
  // Every schedule there is has been run, within the bound of the strategy.
  bool complete = false;
  // One by one: for how many schedules every single fault was tried, and how
  // many faults that were.
  uint64_t fault_rounds = 0;
  uint64_t faults = 0;

  bool ok() const { return !failure.has_value(); }
};

ExploreResult FindFailure(const ExploreOptions& options,
                          const std::function<void(Sim&)>& body);

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_EXPLORE_H_
