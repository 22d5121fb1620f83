#include "weft/backends/evented/internal/perturbation.h"

#include <thread>

#include "weft/runtime/internal/check.h"

namespace weft::internal {

Perturbation::Perturbation(uint64_t seed, uint32_t index)
    : random_(DeriveSeed(seed, index)) {}

Perturbation::~Perturbation() { WEFT_CHECK(held_ == 0); }

void Perturbation::Hold(Fiber& fiber) {
  ++held_;
  if (random_.Below(8) != 0) {
    waiting_.push_back(fiber);
    return;
  }
  // The next turn would be no delay.
  const uint32_t turns = 2 + random_.Below(kMostDelay);
  delayed_[(turn_ + turns) % kDelays].push_back(fiber);
}

void Perturbation::Pick(FiberQueue& ready) {
  while (!ready.empty()) {
    Fiber& fiber = ready.front();
    ready.pop_front();
    Hold(fiber);
  }
  if (held_ == 0) return;
  turn_ = (turn_ + 1) % kDelays;
  waiting_.splice_after(waiting_.last(), delayed_[turn_]);
  if (waiting_.empty()) {
    std::this_thread::yield();
    return;
  }

  auto before = waiting_.before_begin();
  if (passes_ < kMostPasses) {
    uint32_t candidates = 0;
    for (auto it = waiting_.begin();
         it != waiting_.end() && candidates < kWindow; ++it) {
      ++candidates;
    }
    const uint32_t chosen = random_.Below(candidates);
    for (uint32_t i = 0; i < chosen; ++i) ++before;
  }
  passes_ = before == waiting_.before_begin() ? 0 : passes_ + 1;

  auto next = before;
  Fiber& fiber = *++next;
  waiting_.erase_after(before);
  --held_;
  ready.push_back(fiber);
}

}  // namespace weft::internal
