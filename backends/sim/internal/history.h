// The history of a schedule: what is needed to run it again, and to notice
// where another run is not the same.
//
// An event is a task that became able to run ('+'), a task that no longer is
// ('-'), or a decision: the point at which the running task stood and who was
// chosen. As text, with the number of a chosen task left out where it is that
// of the decision before, and ".n" for n events of one kind in a row:
//
//   +0+1sa.4a1-1f0     tasks 0 and 1 can run; 0 has started a task and goes
//                      on, past four more points; at the next one 1 runs ...
#ifndef WEFT_BACKENDS_SIM_INTERNAL_HISTORY_H_
#define WEFT_BACKENDS_SIM_INTERNAL_HISTORY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "weft/backends/sim/strategy.h"

namespace weft::sim {

struct Event {
  static constexpr char kCanRun = '+';
  static constexpr char kCannotRun = '-';

  char what = kCanRun;  // or a PointKind
  uint32_t task = 0;

  bool is_decision() const { return what != kCanRun && what != kCannotRun; }
  friend bool operator==(const Event&, const Event&) = default;
};

class History {
 public:
  void Clear() {
    events_.clear();
    decisions_ = 0;
  }
  void CanRun(uint32_t task) { events_.push_back({Event::kCanRun, task}); }
  void CannotRun(uint32_t task) {
    events_.push_back({Event::kCannotRun, task});
  }
  void Decide(PointKind kind, uint32_t chosen) {
    events_.push_back({static_cast<char>(kind), chosen});
    ++decisions_;
  }

  const std::vector<Event>& events() const { return events_; }
  uint64_t decisions() const { return decisions_; }
  // The same for the same events.
  uint64_t Hash() const;

  // Gives the text to `put` character by character. Allocates nothing, so that
  // a signal handler may call it.
  template <class Put>
  void Write(Put&& put) const;
  std::string ToString() const;
  // INVALID_ARGUMENT for what no history can be.
  static absl::StatusOr<History> Parse(std::string_view text);

 private:
  template <class Put>
  static void WriteNumber(uint64_t number, Put&& put);

  std::vector<Event> events_;
  uint64_t decisions_ = 0;
};

template <class Put>
void History::WriteNumber(uint64_t number, Put&& put) {
  char digits[20];
  size_t count = 0;
  do {
    digits[count++] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  while (count > 0) put(digits[--count]);
}

template <class Put>
void History::Write(Put&& put) const {
  uint32_t last_chosen = 0;
  for (size_t i = 0; i < events_.size();) {
    const Event& event = events_[i];
    put(event.what);
    if (!event.is_decision() || event.task != last_chosen) {
      WriteNumber(event.task, put);
    }
    ++i;
    if (!event.is_decision()) continue;
    last_chosen = event.task;
    size_t again = 0;
    while (i + again < events_.size() && events_[i + again] == event) ++again;
    if (again > 1) {
      put('.');
      WriteNumber(again + 1, put);
      i += again;
    }
  }
}

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_INTERNAL_HISTORY_H_
