#include "weft/backends/sim/internal/exhaustive.h"

#include "absl/strings/str_cat.h"

namespace weft::sim {

bool Exhaustive::Begin(uint64_t) {
  depth_ = 0;
  if (!begun_) {
    begun_ = true;
    return true;
  }
  // Back to the last decision that has an alternative left.
  while (!path_.empty()) {
    Node& node = path_.back();
    const bool allowed = !node.preempts || node.preemptions < bound_;
    if (allowed && ++node.tried < node.count) return true;
    candidates_.resize(node.first);
    path_.pop_back();
  }
  exhausted_ = true;
  return false;
}

uint32_t Exhaustive::Pick(const Decision& decision) {
  if (depth_ == path_.size()) {
    Push(decision);
  } else if (!Same(path_[depth_], decision)) {
    changed_ = true;
  }
  if (changed_) return kRefuse;
  return Candidate(path_[depth_++]);
}

std::string Exhaustive::refusal() const {
  return absl::StrCat(
      "the body is not the same in every schedule: at decision ", depth_ + 1,
      " it does something else than when the same decisions were tried before");
}

void Exhaustive::End(const Summary& summary) {
  // What came after the strategy was no longer asked was not searched.
  if (summary.turned_fair) incomplete_ = true;
  // This schedule was to have at least the decisions of the one before.
  if (depth_ < path_.size()) changed_ = true;
}

bool Exhaustive::Same(const Node& node, const Decision& decision) const {
  if (node.kind != decision.kind || node.count != decision.candidates.size() ||
      node.preempts != decision.current_can_go_on) {
    return false;
  }
  const auto first =
      candidates_.begin() + static_cast<std::ptrdiff_t>(node.first);
  return std::is_permutation(first, first + node.count,
                             decision.candidates.begin());
}

void Exhaustive::Push(const Decision& decision) {
  Node node{.kind = decision.kind,
            .first = candidates_.size(),
            .count = static_cast<uint32_t>(decision.candidates.size()),
            .preempts = decision.current_can_go_on};
  if (!path_.empty()) {
    const Node& before = path_.back();
    node.preemptions =
        before.preemptions + (before.preempts && before.tried > 0 ? 1 : 0);
  }
  const uint32_t first = WithoutSwitch(decision);
  candidates_.push_back(first);
  for (const uint32_t task : decision.candidates) {
    if (task != first) candidates_.push_back(task);
  }
  path_.push_back(node);
}

}  // namespace weft::sim
