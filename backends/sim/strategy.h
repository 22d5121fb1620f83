// Strategies: who runs next, where more than one task could.
//
//   class Youngest final : public weft::sim::Strategy {
//     bool Begin(uint64_t) override { return true; }
//     uint32_t Pick(const Decision& d) override { return d.candidates.back(); }
//   };
//
// Tasks are numbered from 0, the body, in the order in which they start.
//
// **Threads.** A strategy is used by one thread.
#ifndef WEFT_BACKENDS_SIM_STRATEGY_H_
#define WEFT_BACKENDS_SIM_STRATEGY_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace weft::sim {

class History;

// Where a task stands when others may run instead of it. The values are the
// letters of a replay token.
enum class PointKind : char {
  kAccess = 'a',     // before it uses an atomic or takes a lock of a primitive
  kCancel = 'c',     // before it cancels a task or a scope, or looks at one
  kOperation = 'o',  // before an operation
  kSpawn = 's',      // after it has started a task
  kWait = 'f',       // before it looks whether it has to wait on a word
  kWake = 'w',       // before it wakes waiters of a word
  kYield = 'y',      // it lets others run first
  kFinish = 'r',     // its function has returned, which nobody knows yet
  // It cannot go on:
  kPark = 'p',  // it waits
  kEnd = 'e',   // it has ended
};

// What is known of a task that has started.
struct TaskProgress {
  uint32_t parent = 0;
  // The same for tasks that call functions of one type, so that with the same
  // number of points they are likely to be at the same place.
  uint32_t role = 0;
  uint64_t points = 0;  // that it has come to
};

// A moment at which more than one task could run.
struct Decision {
  PointKind kind = PointKind::kAccess;
  // The numbers of the tasks that could run, ascending; at least two. Not
  // `current` where it yields.
  std::span<const uint32_t> candidates;
  // Who ran up to now; among the candidates unless it cannot or does not want
  // to go on.
  uint32_t current = 0;
  bool current_can_go_on = false;
  // By number, ended tasks included.
  std::span<const TaskProgress> tasks;
  // What has happened before, for strategies that compare.
  const History& history;
};

class Strategy {
 public:
  virtual ~Strategy() = default;

  // Called before each schedule. `seed` is different each time. False: there
  // is no schedule left that was not tried.
  virtual bool Begin(uint64_t seed) = 0;

  // One of the candidates, or kRefuse: this schedule cannot be continued, and
  // refusal() says why.
  virtual uint32_t Pick(const Decision& decision) = 0;
  static constexpr uint32_t kRefuse = UINT32_MAX;
  virtual std::string refusal() const { return {}; }

  // True: what the tasks draw from their Sim has to be the same in every
  // schedule, for the choices are counted and not drawn.
  virtual bool repeats_random() const { return false; }

  // What came of a schedule that this strategy has begun.
  struct Summary {
    std::span<const TaskProgress> tasks;
    uint64_t decisions = 0;
    // After so many points that the scheduler went on without the strategy.
    bool turned_fair = false;
  };
  virtual void End(const Summary&) {}

  // Once Begin has returned false: true if really every schedule was tried,
  // within the bound that the strategy was made with.
  virtual bool complete() const { return false; }
};

// A strategy by its name; INVALID_ARGUMENT names those there are:
//   random          each candidate is as likely as any other; in every second
//                   schedule a task that starts others goes on first
//   alike           random over what can happen next: tasks that run the same
//                   function and have come equally far count as one, and of
//                   them each is as likely; a task that starts others goes on
//                   first, and in every second schedule who runs goes on with
//                   a probability of 1/2
//   sticky          as alike, but who runs goes on with a probability of 7/8,
//                   and with starts as random
//   pct, pct<d>     priorities that change at d-1 random moments, so that a
//                   bug that needs d ordered events is found with a known
//                   probability; without a number, d is drawn from 2 to 5
//   uniform         each interleaving is as likely as any other, as far as the
//                   schedules before tell how much each task has to do
//   roundrobin      each task in turn, for a number of points that grows by
//                   one with each schedule
//   exhaustive      every schedule, once each; what Random returns is the same
//                   in all of them, and changes with the seed
//   exhaustive<p>   every schedule with at most p preemptions
//   portfolio       roundrobin once, then alike, sticky, uniform, alike and
//                   pct in turn
absl::StatusOr<std::unique_ptr<Strategy>> MakeStrategy(std::string_view name);

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_STRATEGY_H_
