#include "weft/backends/sim/strategy.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "weft/backends/sim/internal/exhaustive.h"
#include "weft/runtime/internal/rng.h"

namespace weft::sim {
namespace {

struct WalkOptions {
  // Whoever runs goes on, if it can, in so many of kWhole cases, and else who
  // runs is drawn. With 0 a task is interrupted all the time, also inside of
  // primitives; with much, locks are seldom contended. Each schedule has one
  // or the other.
  uint32_t stay = 0;
  uint32_t or_stay = stay;
  // What is drawn is what happens next, and not who does it. Of many tasks
  // that run the same function and have come to the same point, one is as good
  // as the other, so together they are one choice: else a single task with
  // another function hardly ever gets past a crowd.
  bool alike = false;
  // Who starts tasks goes on until it waits for something, as on a backend
  // with one worker. A walk that may leave it after each start gives the first
  // tasks a lead that the last ones hardly make up. Otherwise that is so in
  // every second schedule.
  bool together = false;
};

class RandomWalk final : public Strategy {
 public:
  explicit RandomWalk(const WalkOptions& options) : options_(options) {}

  bool Begin(uint64_t seed) override {
    rng_ = internal::Rng(seed);
    together_ = options_.together || rng_.Below(2) == 0;
    const bool other = options_.or_stay != options_.stay && rng_.Below(2) == 0;
    stay_ = other ? options_.or_stay : options_.stay;
    return true;
  }
  uint32_t Pick(const Decision& decision) override {
    if (together_ && decision.kind == PointKind::kSpawn) {
      return decision.current;
    }
    if (stay_ > 0 && decision.current_can_go_on && rng_.Below(kWhole) < stay_) {
      return decision.current;
    }
    if (options_.alike) return DrawPlace(decision);
    const auto count = static_cast<uint32_t>(decision.candidates.size());
    return decision.candidates[rng_.Below(count)];
  }

 private:
  using Place = std::pair<uint32_t, uint64_t>;  // role and points
  static constexpr uint32_t kWhole = 8;

  static Place PlaceOf(const TaskProgress& task) {
    return {task.role, task.points};
  }

  // A place, and then one of those who are there.
  uint32_t DrawPlace(const Decision& decision) {
    places_.clear();
    for (const uint32_t task : decision.candidates) {
      const Place place = PlaceOf(decision.tasks[task]);
      const auto at = std::lower_bound(places_.begin(), places_.end(), place);
      if (at == places_.end() || *at != place) places_.insert(at, place);
    }
    const auto count = static_cast<uint32_t>(places_.size());
    const Place place = places_[rng_.Below(count)];
    uint32_t chosen = 0;
    uint32_t seen = 0;
    for (const uint32_t task : decision.candidates) {
      if (PlaceOf(decision.tasks[task]) != place) continue;
      if (rng_.Below(++seen) == 0) chosen = task;
    }
    return chosen;
  }

  const WalkOptions options_;
  internal::Rng rng_{0};
  // In this schedule.
  bool together_ = false;
  uint32_t stay_ = 0;
  std::vector<Place> places_;  // of the candidates, ascending, each once
};

// In the order of strategy.h.
constexpr WalkOptions kRandom = {};
constexpr WalkOptions kSticky = {.stay = 7, .alike = true};
constexpr WalkOptions kAlike = {
    .stay = 0, .or_stay = 4, .alike = true, .together = true};

// Probabilistic concurrency testing (Burckhardt et al., ASPLOS 2010): the task
// with the highest priority runs. Tasks get random priorities, and at d-1
// random decisions the running one falls below all that came before.
class Pct final : public Strategy {
 public:
  // Without a depth it is drawn anew for each schedule.
  explicit Pct(std::optional<uint32_t> depth) : depth_(depth) {}

  bool Begin(uint64_t seed) override {
    rng_ = internal::Rng(seed);
    priorities_.clear();
    lowest_ = 0;
    decisions_ = 0;
    const uint32_t depth = depth_.value_or(kLeastDrawn + rng_.Below(kDrawn));
    changes_.clear();
    for (uint32_t i = 1; i < depth; ++i) {
      changes_.push_back(rng_.Below(expected_decisions_));
    }
    std::sort(changes_.begin(), changes_.end(), std::greater<>());
    return true;
  }

  uint32_t Pick(const Decision& decision) override {
    while (priorities_.size() < decision.tasks.size()) {
      priorities_.push_back(1 + rng_.Below(1u << 30));
    }
    bool lower = decision.kind == PointKind::kYield;
    for (; !changes_.empty() && changes_.back() <= decisions_;
         changes_.pop_back()) {
      lower = true;
    }
    if (lower) priorities_[decision.current] = --lowest_;
    ++decisions_;
    return *std::max_element(decision.candidates.begin(),
                             decision.candidates.end(),
                             [this](uint32_t a, uint32_t b) {
                               return priorities_[a] < priorities_[b];
                             });
  }

  void End(const Summary& summary) override {
    // The change points are to lie where schedules really are. A mean that
    // forgets: lengths differ from schedule to schedule.
    const uint64_t decisions =
        std::clamp<uint64_t>(summary.decisions, 1, kMostExpected);
    expected_decisions_ =
        static_cast<uint32_t>((3 * uint64_t{expected_decisions_} + decisions) /
                              4) +
        1;
  }

 private:
  static constexpr uint32_t kLeastDrawn = 2;
  static constexpr uint32_t kDrawn = 4;
  static constexpr uint64_t kMostExpected = 1u << 30;

  const std::optional<uint32_t> depth_;
  internal::Rng rng_{0};
  uint32_t expected_decisions_ = 16;
  std::vector<int64_t> priorities_;  // by number of task
  int64_t lowest_ = 0;
  std::vector<uint64_t> changes_;  // decisions at which to lower, descending
  uint64_t decisions_ = 0;
};

// A walk that is uniform over interleavings and not over choices: a candidate
// is as likely as it has points left, those of the tasks it will start
// included. How many there are is learned from the schedules before.
class Uniform final : public Strategy {
 public:
  bool Begin(uint64_t seed) override {
    rng_ = internal::Rng(seed);
    return true;
  }

  uint32_t Pick(const Decision& decision) override {
    EstimateRest(decision.tasks);
    uint64_t total = 0;
    for (const uint32_t task : decision.candidates) total += left_[task];
    uint64_t drawn = rng_.Next() % total;
    for (const uint32_t task : decision.candidates) {
      if (drawn < left_[task]) return task;
      drawn -= left_[task];
    }
    return decision.candidates.back();
  }

  void End(const Summary& summary) override {
    if (summary.tasks.size() > expected_.size()) {
      expected_.resize(summary.tasks.size());
    }
    for (size_t i = 0; i < summary.tasks.size(); ++i) {
      // The longest schedule that was seen: an estimate that is too small
      // would starve a task towards its end.
      expected_[i].parent = summary.tasks[i].parent;
      expected_[i].points =
          std::max(expected_[i].points, summary.tasks[i].points);
    }
  }

 private:
  void EstimateRest(std::span<const TaskProgress> tasks) {
    left_.assign(std::max(tasks.size(), expected_.size()), 1);
    for (size_t i = left_.size(); i-- > 0;) {
      const uint64_t expected = i < expected_.size() ? expected_[i].points : 0;
      const uint64_t done = i < tasks.size() ? tasks[i].points : 0;
      if (expected > done) left_[i] += expected - done - 1;
      // What has not started yet is work of who will start it; a parent has a
      // lower number and comes later in this loop.
      if (i >= tasks.size()) {
        extra_.resize(left_.size());
        extra_[expected_[i].parent] += left_[i] + std::exchange(extra_[i], 0);
      } else if (i < extra_.size()) {
        left_[i] += std::exchange(extra_[i], 0);
      }
    }
  }

  internal::Rng rng_{0};
  std::vector<TaskProgress> expected_;
  std::vector<uint64_t> left_;
  std::vector<uint64_t> extra_;  // all zero between calls
};

class RoundRobin final : public Strategy {
 public:
  bool Begin(uint64_t) override {
    ++quantum_;
    left_ = quantum_;
    return true;
  }
  uint32_t Pick(const Decision& decision) override {
    if (decision.current_can_go_on && --left_ > 0) return decision.current;
    left_ = quantum_;
    return NextInTurn(decision);
  }

 private:
  uint64_t quantum_ = 0;
  uint64_t left_ = 0;
};

class Portfolio final : public Strategy {
 public:
  bool Begin(uint64_t seed) override {
    current_ = schedules_ == 0 ? 0 : kTurns[schedules_ % kTurns.size()];
    ++schedules_;
    return parts_[current_]->Begin(seed);
  }
  uint32_t Pick(const Decision& decision) override {
    return parts_[current_]->Pick(decision);
  }
  void End(const Summary& summary) override {
    // Schedules of the others have other lengths than its own.
    parts_[current_]->End(summary);
  }

 private:
  // Indices into parts_, of all schedules but the first. What tasks do alike
  // is drawn most often: it finds most of what the others find, and alone what
  // one task does beside a crowd.
  static constexpr std::array<size_t, 5> kTurns = {1, 2, 3, 4, 2};

  const std::array<std::unique_ptr<Strategy>, 5> parts_ = {
      std::make_unique<RoundRobin>(), std::make_unique<Pct>(std::nullopt),
      std::make_unique<RandomWalk>(kAlike),
      std::make_unique<RandomWalk>(kSticky), std::make_unique<Uniform>()};
  uint64_t schedules_ = 0;
  size_t current_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Strategy>> MakeStrategy(std::string_view name) {
  const std::string_view base =
      name.substr(0, name.find_first_of("0123456789"));
  std::optional<uint32_t> number;
  bool right = true;
  if (base.size() < name.size()) {
    const std::string digits(name.substr(base.size()));
    right = absl::SimpleAtoi(digits, &number.emplace());
  }
  if (right && base == "pct" && number != 0u) {
    return std::make_unique<Pct>(number);
  }
  if (right && base == "exhaustive") {
    return std::make_unique<Exhaustive>(number);
  }
  if (name == "random") return std::make_unique<RandomWalk>(kRandom);
  if (name == "sticky") return std::make_unique<RandomWalk>(kSticky);
  if (name == "alike") return std::make_unique<RandomWalk>(kAlike);
  if (name == "uniform") return std::make_unique<Uniform>();
  if (name == "roundrobin") return std::make_unique<RoundRobin>();
  if (name == "portfolio") return std::make_unique<Portfolio>();
  return absl::InvalidArgumentError(absl::StrCat(
      "there is no strategy '", absl::string_view(name.data(), name.size()),
      "'; there are portfolio, random, sticky, alike, pct, pct<depth>, "
      "uniform, roundrobin, exhaustive, exhaustive<preemptions>"));
}

}  // namespace weft::sim
