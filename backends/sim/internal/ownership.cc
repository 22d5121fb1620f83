#include "weft/backends/sim/internal/ownership.h"

#include <algorithm>

namespace weft::sim {

void Ownership::Add(const Holding& holding) {
  // One entry for all the permits of a task, however many it takes.
  if (!holding.is_lock()) {
    for (Holding& known : holdings_) {
      if (known.task != holding.task ||
          known.held.object != holding.held.object) {
        continue;
      }
      known.held.count += holding.held.count;
      return;
    }
  }
  holdings_.push_back(holding);
}

bool Ownership::Remove(uint32_t task, const void* object, uint32_t count) {
  // What was taken last is mostly let go first.
  const auto last = std::find_if(
      holdings_.rbegin(), holdings_.rend(), [&](const Holding& holding) {
        return holding.task == task && holding.held.object == object;
      });
  if (last != holdings_.rend()) {
    const bool is_lock = last->is_lock();
    last->held.count -= std::min(count, last->held.count);
    if (last->held.count == 0) holdings_.erase(std::prev(last.base()));
    return is_lock;
  }
  for (auto at = holdings_.begin(); at != holdings_.end() && count > 0;) {
    if (at->held.object != object || at->is_lock()) {
      ++at;
      continue;
    }
    const uint32_t taken = std::min(count, at->held.count);
    count -= taken;
    at->held.count -= taken;
    if (at->held.count == 0) {
      at = holdings_.erase(at);
    } else {
      ++at;
    }
  }
  return false;
}

void Ownership::Forget(const void* object) {
  std::erase_if(holdings_, [object](const Holding& holding) {
    return holding.held.object == object;
  });
}

}  // namespace weft::sim
