// Makes a failing schedule smaller.
#ifndef WEFT_BACKENDS_SIM_INTERNAL_SHRINK_H_
#define WEFT_BACKENDS_SIM_INTERNAL_SHRINK_H_

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace weft::sim {

// What became of a try.
enum class Attempt {
  kFails,   // as before
  kPasses,  // or fails in another way
  kStop,    // was not made: enough is enough
};

// Takes parts of a schedule away, its faults or its switches, many at once and
// then fewer, as long as `attempt`, given the others, says that it fails. No
// single one of those that are returned can be missed, unless `attempt`
// stopped it.
template <class Part, class Try>
std::vector<Part> Shrink(std::vector<Part> parts, const Try& attempt) {
  // As in delta debugging (Zeller and Hildebrandt, 2002), without its tries of
  // a part alone. From the end: late switches are the ones that most often do
  // not matter.
  for (size_t size = parts.size(); size > 0;) {
    bool any = false;
    for (size_t end = parts.size(); end > 0;) {
      const size_t begin = end - std::min(size, end);
      const std::span<const Part> all(parts);
      std::vector<Part> fewer(all.begin(), all.subspan(begin).begin());
      fewer.insert(fewer.end(), all.subspan(end).begin(), all.end());
      const Attempt outcome = attempt(fewer);
      if (outcome == Attempt::kStop) return parts;
      if (outcome == Attempt::kFails) {
        parts = std::move(fewer);
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
  return parts;
}

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_INTERNAL_SHRINK_H_
