// LogMarks: how far the events of each upstream have come. The sequencer moves
// the marks, and what they say may be acknowledged.
#ifndef WEFT_EXAMPLES_RELAY_LOG_MARKS_H_
#define WEFT_EXAMPLES_RELAY_LOG_MARKS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "weft/runtime/io.h"
#include "weft/sync/atomic.h"

namespace relay {

template <weft::Backend B>
class LogMarks {
 public:
  explicit LogMarks(size_t upstreams) : marks_(upstreams) {}

  // The events of `upstream` up to `sequence` are in the log, and in the
  // queues of all subscribers.
  void Set(uint32_t upstream, uint64_t sequence) {
    marks_[upstream].store(sequence, std::memory_order_release);
  }
  uint64_t Get(uint32_t upstream) const {
    return marks_[upstream].load(std::memory_order_acquire);
  }

 private:
  std::vector<weft::Atomic<uint64_t, B>> marks_;
};

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_LOG_MARKS_H_
