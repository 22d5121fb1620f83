// What the tasks of one schedule did last, for people.
#ifndef WEFT_BACKENDS_SIM_INTERNAL_TRACE_H_
#define WEFT_BACKENDS_SIM_INTERNAL_TRACE_H_

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "weft/backends/sim/strategy.h"
#include "weft/runtime/clock.h"

namespace weft::sim {

// "before it wakes others" ...
const char* DescribePoint(PointKind kind);

// Addresses have numbers in messages, in the order in which they are first
// used: those are the same in every run.
class ObjectNumbers {
 public:
  uint32_t Of(const void* object) {
    return numbers_.try_emplace(object, numbers_.size() + 1).first->second;
  }
  void Clear() { numbers_.clear(); }

 private:
  std::map<const void*, uint32_t> numbers_;
};

struct Step {
  uint64_t number = 0;
  uint32_t task = 0;
  PointKind kind = PointKind::kAccess;
  uint32_t object = 0;  // 0: none
  Duration time{};
};

class Trace {
 public:
  void Clear();
  void NameTask(std::string name) { names_.push_back(std::move(name)); }
  void Add(const Step& step);

  // A table with a line for each of the last steps and a column for each task
  // that did one of them.
  std::string Table() const;
  // Who did what most often in the last steps, if that is nearly all: where a
  // schedule that does not end goes round. Empty otherwise.
  std::string Loop() const;

 private:
  static constexpr size_t kMostSteps = 40;

  std::vector<std::string> names_;  // by number of task
  std::deque<Step> steps_;
};

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_INTERNAL_TRACE_H_
