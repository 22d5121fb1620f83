// Shakes the order in which a worker runs its fibers, from a seed.
//
// Each turn of the loop moves what became ready here and lets one fiber
// through. So that only the seed decides, numbers are drawn for fibers and
// never for turns in which there are none.
//
// What it does is bounded: a delay lasts at most kMostDelay turns, and then at
// most kWindow * kMostPasses fibers that came later go first.
//
// **Threads.** That of its worker.
#ifndef WEFT_BACKENDS_EVENTED_INTERNAL_PERTURBATION_H_
#define WEFT_BACKENDS_EVENTED_INTERNAL_PERTURBATION_H_

#include <array>
#include <cstdint>

#include "weft/backends/evented/internal/fiber.h"
#include "weft/runtime/internal/rng.h"

namespace weft::internal {

class Perturbation {
 public:
  // How many of the fibers that wait longest may be let through next.
  static constexpr uint32_t kWindow = 16;
  // How many may go before the one that waits longest.
  static constexpr uint32_t kMostPasses = 32;
  static constexpr uint32_t kMostDelay = 7;

  // Worker `index` of those with `seed`.
  Perturbation(uint64_t seed, uint32_t index);
  Perturbation(const Perturbation&) = delete;
  Perturbation& operator=(const Perturbation&) = delete;
  // No fiber may be left.
  ~Perturbation();

  // Once in each turn: takes what is in `ready`, some of it to be delayed, and
  // puts the fiber there that runs next. If all are delayed it is none, and
  // other threads get their turn.
  void Pick(FiberQueue& ready);
  // False if there is none to pick, now or later.
  bool HasFibers() const { return held_ > 0; }

  // Whether the fiber that is about to park lets others run first.
  bool YieldsBeforePark() { return random_.Below(4) == 0; }

 private:
  void Hold(Fiber& fiber);

  Rng random_;
  uint32_t held_ = 0;    // the delayed ones included
  FiberQueue waiting_;   // in the order in which they came
  uint32_t passes_ = 0;  // since the first of them became the first
  // Those that join the others in turn `t` are in delayed_[t % kDelays].
  static constexpr uint32_t kDelays = kMostDelay + 1;
  std::array<FiberQueue, kDelays> delayed_;
  uint32_t turn_ = 0;
};

}  // namespace weft::internal

#endif  // WEFT_BACKENDS_EVENTED_INTERNAL_PERTURBATION_H_
