// Counters: what has happened so far. Any task counts, health and the final
// figures read.
#ifndef WEFT_EXAMPLES_RELAY_COUNTERS_H_
#define WEFT_EXAMPLES_RELAY_COUNTERS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "weft/examples/relay/fault.h"
#include "weft/examples/relay/json.h"
#include "weft/examples/relay/output.h"
#include "weft/runtime/io.h"
#include "weft/sync/atomic.h"

namespace relay {

template <weft::Backend B>
class Counters {
 public:
  using Count = weft::Atomic<uint64_t, B>;

  // Tells of the first `most_reports` faults.
  explicit Counters(uint64_t most_reports) : most_reports_(most_reports) {}

  Count connect_attempts{0};  // to upstreams
  Count connected{0};         // upstreams that ever were
  Count connected_now{0};     // upstreams
  Count reconnects{0};        // of upstreams that had been connected
  Count received{0};          // events from upstreams
  Count logged{0};            // events with a place in the order

  // Counts a fault and reports it on standard error; after the first few only
  // counts.
  void Report(Fault fault, const std::string& message) {
    faults_[static_cast<size_t>(fault)].fetch_add(1, std::memory_order_relaxed);
    const uint64_t count = fault_count();
    if (count <= most_reports_) Complain(message);
    if (count == most_reports_) Complain("more faults are counted only");
  }

  // Adds what health and the final figures both tell.
  void AddTo(JsonObject& object) const {
    object.Add("connected", connected.load())
        .Add("connect_attempts", connect_attempts.load())
        .Add("reconnects", reconnects.load())
        .Add("connect_timeouts", count(Fault::kConnectTimeout))
        .Add("read_timeouts", count(Fault::kReadTimeout))
        .Add("received", received.load())
        .Add("logged", logged.load());
  }

  // How often there was each fault.
  JsonObject faults() const {
    JsonObject object;
    for (size_t i = 0; i < faults_.size(); ++i) {
      object.Add(kFaultNames[i], faults_[i].load(std::memory_order_relaxed));
    }
    return object;
  }
  uint64_t fault_count() const {
    uint64_t count = 0;
    for (const Count& fault : faults_) {
      count += fault.load(std::memory_order_relaxed);
    }
    return count;
  }

 private:
  uint64_t count(Fault fault) const {
    return faults_[static_cast<size_t>(fault)].load(std::memory_order_relaxed);
  }

  const uint64_t most_reports_;
  std::array<Count, kFaultNames.size()> faults_{};
};

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_COUNTERS_H_
