#include "weft/backends/sim/internal/replay.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "weft/backends/sim/internal/exhaustive.h"
#include "weft/backends/sim/internal/trace.h"

namespace weft::sim {
namespace {

std::string Describe(const Event& event) {
  switch (event.what) {
    case Event::kCanRun:
      return absl::StrCat("task ", event.task, " can run");
    case Event::kCannotRun:
      return absl::StrCat("task ", event.task, " waits or ends");
    default:
      return absl::StrCat("a choice ",
                          DescribePoint(static_cast<PointKind>(event.what)),
                          ", of task ", event.task);
  }
}

// The tasks that can run after the first `count` events.
std::string RunnableAfter(const std::vector<Event>& events, size_t count) {
  std::set<uint32_t> tasks;
  for (size_t i = 0; i < count; ++i) {
    if (events[i].what == Event::kCanRun) tasks.insert(events[i].task);
    if (events[i].what == Event::kCannotRun) tasks.erase(events[i].task);
  }
  return absl::StrJoin(tasks, ", ");
}

}  // namespace

bool Replay::Begin(uint64_t) {
  compared_ = 0;
  refusal_.clear();
  switches_.clear();
  return true;
}

bool Replay::Compare(const std::vector<Event>& found) {
  for (; compared_ < found.size(); ++compared_) {
    if (compared_ == expected_.size() ||
        found[compared_] != expected_[compared_]) {
      Refuse(compared_, &found[compared_]);
      return false;
    }
  }
  return true;
}

void Replay::Refuse(size_t at, const Event* found) {
  uint64_t decisions = 0;
  for (size_t i = 0; i < at; ++i) decisions += expected_[i].is_decision();
  refusal_ = absl::StrCat(
      "the schedule is not the one that was recorded; first difference at "
      "event ",
      at + 1, ", after ", decisions, " decisions\n  expected: ",
      at < expected_.size() ? Describe(expected_[at]) : "its end",
      "\n  found:    ", found == nullptr ? "its end" : Describe(*found),
      "\n  tasks that could run before: ", RunnableAfter(expected_, at),
      "\n  The program is not the one that made the token, or something in it "
      "does not come from Sim: the order of a container by address or by a "
      "random hash, a clock, a thread, a static variable that keeps its value "
      "between schedules.");
}

uint32_t Replay::Pick(const Decision& decision) {
  if (!Compare(decision.history.events())) return kRefuse;
  const Event found{static_cast<char>(decision.kind), WithoutSwitch(decision)};
  if (compared_ == expected_.size() ||
      expected_[compared_].what != found.what ||
      !std::binary_search(decision.candidates.begin(),
                          decision.candidates.end(),
                          expected_[compared_].task)) {
    Refuse(compared_, &found);
    return kRefuse;
  }
  const Event& event = expected_[compared_];
  if (event.task != WithoutSwitch(decision)) {
    switches_.push_back({.from = decision.current,
                         .point = decision.tasks[decision.current].points,
                         .to = event.task});
  }
  return event.task;
}

std::string Replay::CompareWhole(const History& found) {
  if (!refusal_.empty()) return refusal_;
  if (Compare(found.events()) && compared_ < expected_.size()) {
    Refuse(compared_, nullptr);
  }
  return refusal_;
}

Guided::Guided(std::vector<Switch> switches) : switches_(std::move(switches)) {
  std::sort(switches_.begin(), switches_.end(),
            [](const Switch& a, const Switch& b) {
              return std::tie(a.from, a.point) < std::tie(b.from, b.point);
            });
}

uint32_t Guided::Pick(const Decision& decision) {
  const auto here =
      std::pair(decision.current, decision.tasks[decision.current].points);
  const auto found = std::lower_bound(
      switches_.begin(), switches_.end(), here,
      [](const Switch& a, const std::pair<uint32_t, uint64_t>& b) {
        return std::pair(a.from, a.point) < b;
      });
  const bool possible =
      found != switches_.end() &&
      std::pair(found->from, found->point) == here &&
      std::binary_search(decision.candidates.begin(), decision.candidates.end(),
                         found->to);
  return possible ? found->to : WithoutSwitch(decision);
}

}  // namespace weft::sim
