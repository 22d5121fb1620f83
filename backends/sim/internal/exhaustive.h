// Every schedule, once each: a depth-first search over the decisions.
#ifndef WEFT_BACKENDS_SIM_INTERNAL_EXHAUSTIVE_H_
#define WEFT_BACKENDS_SIM_INTERNAL_EXHAUSTIVE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "weft/backends/sim/strategy.h"

namespace weft::sim {

// Who runs where nothing speaks for a switch: the task that runs if it can go
// on, otherwise the next one by number.
inline uint32_t NextInTurn(const Decision& decision) {
  const auto next = std::upper_bound(
      decision.candidates.begin(), decision.candidates.end(), decision.current);
  return next == decision.candidates.end() ? decision.candidates.front()
                                           : *next;
}
inline uint32_t WithoutSwitch(const Decision& decision) {
  return decision.current_can_go_on ? decision.current : NextInTurn(decision);
}

class Exhaustive final : public Strategy {
 public:
  // A preemption is a switch away from a task that could go on. Without a
  // bound all schedules are tried.
  explicit Exhaustive(std::optional<uint32_t> preemptions)
      : bound_(preemptions.value_or(UINT32_MAX)) {}

  bool Begin(uint64_t seed) override;
  uint32_t Pick(const Decision& decision) override;
  std::string refusal() const override;
  bool repeats_random() const override { return true; }
  void End(const Summary& summary) override;
  bool complete() const override {
    return exhausted_ && !incomplete_ && !changed_;
  }

 private:
  // A decision on the path that is being tried. Alternative 0 is
  // WithoutSwitch, the others follow in the order of their numbers.
  struct Node {
    PointKind kind = PointKind::kAccess;
    size_t first = 0;  // of its candidates in candidates_
    uint32_t count = 0;
    uint32_t tried = 0;        // the alternative that is being tried
    uint32_t preemptions = 0;  // before it
    bool preempts = false;     // if another alternative than 0 is taken
  };

  uint32_t Candidate(const Node& node) const {
    return candidates_[node.first + node.tried];
  }
  bool Same(const Node& node, const Decision& decision) const;
  void Push(const Decision& decision);

  const uint32_t bound_;
  std::vector<Node> path_;
  std::vector<uint32_t> candidates_;
  size_t depth_ = 0;  // decisions of the present schedule
  bool begun_ = false;
  bool exhausted_ = false;
  bool incomplete_ = false;
  bool changed_ = false;  // the body did not do again what it did before
};

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_INTERNAL_EXHAUSTIVE_H_
