// Counters: what has happened so far. Any task counts, health and the final
// figures read.
#ifndef WEFT_EXAMPLES_RELAY_COUNTERS_H_
#define WEFT_EXAMPLES_RELAY_COUNTERS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "weft/examples/relay/json.h"

namespace relay {

// How a connection can go wrong. None of them costs more than itself.
enum class Fault {
  kRefused,         // it could not be made
  kConnectTimeout,  // nobody answered in time
  kReset,           // the peer broke it
  kEndedEarly,      // it was closed within a frame, or without an end message
  kReadTimeout,     // a frame did not end in time, or nothing came for too long
  kGarbage,         // what came was no frame, or no message that belongs here
  kChecksum,        // a frame was damaged
  kSequence,        // an event was missing, doubled or out of turn
  kResources,  // this process or machine had no thread, descriptor or memory
  kOther,
};
inline constexpr std::array kFaultNames = {
    "refused", "connect_timeout", "reset",    "ended_early", "read_timeout",
    "garbage", "checksum",        "sequence", "resources",   "other"};

// The fault behind the error with which following a connection ended.
Fault FaultOf(const absl::Status& status);
// The fault behind the error of a connect.
Fault ConnectFaultOf(const absl::Status& status);

class Counters {
 public:
  // Tells of the first `most_reports` faults.
  explicit Counters(uint64_t most_reports) : most_reports_(most_reports) {}

  std::atomic<uint64_t> connect_attempts{0};  // to upstreams
  std::atomic<uint64_t> connected{0};         // upstreams that ever were
  std::atomic<uint64_t> connected_now{0};     // upstreams
  std::atomic<uint64_t> reconnects{0};  // of upstreams that had been connected
  std::atomic<uint64_t> received{0};    // events from upstreams
  std::atomic<uint64_t> logged{0};      // events with a place in the order

  // Counts a fault and reports it on standard error; after the first few only
  // counts.
  void Report(Fault fault, const std::string& message);

  // Adds what health and the final figures both tell.
  void AddTo(JsonObject& object) const;
  // How often there was each fault.
  JsonObject faults() const;
  uint64_t fault_count() const;

 private:
  uint64_t count(Fault fault) const {
    return faults_[static_cast<size_t>(fault)].load(std::memory_order_relaxed);
  }

  const uint64_t most_reports_;
  std::array<std::atomic<uint64_t>, kFaultNames.size()> faults_{};
};

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_COUNTERS_H_
