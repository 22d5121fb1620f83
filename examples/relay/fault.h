// Fault: how a connection can go wrong.
#ifndef WEFT_EXAMPLES_RELAY_FAULT_H_
#define WEFT_EXAMPLES_RELAY_FAULT_H_

#include <array>

#include "absl/status/status.h"

namespace relay {

// None of them costs more than itself.
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

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_FAULT_H_
