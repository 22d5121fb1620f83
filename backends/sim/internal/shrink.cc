#include "weft/backends/sim/internal/shrink.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>

namespace weft::sim {

std::vector<Switch> Shrink(
    std::vector<Switch> switches,
    const std::function<Attempt(const std::vector<Switch>&)>& attempt) {
  // As in delta debugging (Zeller and Hildebrandt, 2002), without its tries of
  // a part alone. From the end: late switches are the ones that most often do
  // not matter.
  for (size_t size = switches.size(); size > 0;) {
    bool any = false;
    for (size_t end = switches.size(); end > 0;) {
      const size_t begin = end - std::min(size, end);
      const std::span<const Switch> all(switches);
      std::vector<Switch> fewer(all.begin(), all.subspan(begin).begin());
      fewer.insert(fewer.end(), all.subspan(end).begin(), all.end());
      const Attempt outcome = attempt(fewer);
      if (outcome == Attempt::kStop) return switches;
      if (outcome == Attempt::kFails) {
        switches = std::move(fewer);
        any = true;
      }
      end = begin;
    }
    // What could not be missed may be missed now that others are gone.
    if (size > 1) {
      size = (size + 1) / 2;
    } else if (!any) {
      break;
    }
  }
  return switches;
}

}  // namespace weft::sim
