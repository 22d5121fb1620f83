// Strategies that follow a schedule that was.
#ifndef WEFT_BACKENDS_SIM_INTERNAL_REPLAY_H_
#define WEFT_BACKENDS_SIM_INTERNAL_REPLAY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "weft/backends/sim/internal/history.h"
#include "weft/backends/sim/strategy.h"

namespace weft::sim {

// A decision that was not WithoutSwitch, by where the task stood and not by
// when: that stays the same if other such decisions are taken back.
struct Switch {
  uint32_t from = 0;
  uint64_t point = 0;  // how many points `from` had come to
  uint32_t to = 0;

  friend bool operator==(const Switch&, const Switch&) = default;
};

// Takes the decisions of a history, as long as everything else in it happens
// again, too.
class Replay final : public Strategy {
 public:
  explicit Replay(const History& expected) : expected_(expected.events()) {}

  bool Begin(uint64_t) override;
  uint32_t Pick(const Decision& decision) override;
  std::string refusal() const override { return refusal_; }
  // The first difference if the whole schedule, which has ended now, is not
  // the expected one; empty if it is.
  std::string CompareWhole(const History& found);

  // The switches of the schedule.
  const std::vector<Switch>& switches() const { return switches_; }

 private:
  // True if `found` is the beginning of what was expected.
  bool Compare(const std::vector<Event>& found);
  void Refuse(size_t at, const Event* found);

  const std::vector<Event> expected_;
  size_t compared_ = 0;
  std::string refusal_;
  std::vector<Switch> switches_;
};

// Makes the switches that it can of a list, and no others.
class Guided final : public Strategy {
 public:
  explicit Guided(std::vector<Switch> switches);

  bool Begin(uint64_t) override { return true; }
  uint32_t Pick(const Decision& decision) override;

 private:
  std::vector<Switch> switches_;  // by task and point
};

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_INTERNAL_REPLAY_H_
