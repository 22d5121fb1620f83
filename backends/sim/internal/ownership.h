// Who holds what, as the primitives tell.
#ifndef WEFT_BACKENDS_SIM_INTERNAL_OWNERSHIP_H_
#define WEFT_BACKENDS_SIM_INTERNAL_OWNERSHIP_H_

#include <cstdint>
#include <vector>

#include "weft/runtime/internal/explorer.h"

namespace weft::sim {

// What one task holds of one object.
struct Holding {
  internal::Held held;
  uint32_t task = 0;  // its number
  uint64_t step = 0;  // when it took the first of it

  // Only this task can let it go.
  bool is_lock() const { return held.mode != internal::Held::Mode::kLoose; }
};

class Ownership {
 public:
  void Clear() { holdings_.clear(); }

  void Add(const Holding& holding);
  // `task` lets `count` of `object` go. If it holds none, whoever has held
  // one for the longest time no longer does: permits wander. True if that was
  // a lock of `task`.
  bool Remove(uint32_t task, const void* object, uint32_t count);

  void Forget(const void* object);

  // In the order in which they were taken; those of tasks that have ended
  // included.
  const std::vector<Holding>& holdings() const { return holdings_; }

 private:
  std::vector<Holding> holdings_;
};

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_INTERNAL_OWNERSHIP_H_
