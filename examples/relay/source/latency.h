// Latencies: how long things took, kept one by one.
#ifndef WEFT_EXAMPLES_RELAY_SOURCE_LATENCY_H_
#define WEFT_EXAMPLES_RELAY_SOURCE_LATENCY_H_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "weft/runtime/clock.h"

namespace relay {

class Latencies {
 public:
  void Add(weft::Duration latency) {
    microseconds_.push_back(
        std::chrono::duration_cast<std::chrono::microseconds>(latency).count());
  }
  void Add(const Latencies& other) {
    microseconds_.insert(microseconds_.end(), other.microseconds_.begin(),
                         other.microseconds_.end());
  }

  size_t count() const { return microseconds_.size(); }

  // What `percent` of them do not exceed, in microseconds; 0 if there are none.
  int64_t Percentile(size_t percent) {
    if (microseconds_.empty()) return 0;
    const size_t index = (microseconds_.size() - 1) * percent / 100;
    const auto place =
        microseconds_.begin() + static_cast<std::ptrdiff_t>(index);
    std::nth_element(microseconds_.begin(), place, microseconds_.end());
    return *place;
  }

 private:
  std::vector<int64_t> microseconds_;
};

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_SOURCE_LATENCY_H_
