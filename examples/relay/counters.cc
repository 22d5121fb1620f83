#include "weft/examples/relay/counters.h"

#include <cerrno>

#include "weft/examples/relay/output.h"
#include "weft/runtime/status.h"

namespace relay {
namespace {

bool WasConnected(const absl::Status& status) {
  const int error = weft::Errno(status);
  return error == ECONNRESET || error == EPIPE;
}

}  // namespace

Fault FaultOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      return WasConnected(status) ? Fault::kReset : Fault::kRefused;
    case absl::StatusCode::kOutOfRange:
      return Fault::kEndedEarly;
    case absl::StatusCode::kDeadlineExceeded:
      return Fault::kReadTimeout;
    case absl::StatusCode::kInvalidArgument:
      return Fault::kGarbage;
    case absl::StatusCode::kDataLoss:
      return Fault::kChecksum;
    case absl::StatusCode::kFailedPrecondition:
      return Fault::kSequence;
    case absl::StatusCode::kResourceExhausted:
      return Fault::kResources;
    default:
      return Fault::kOther;
  }
}

Fault ConnectFaultOf(const absl::Status& status) {
  return absl::IsDeadlineExceeded(status) ? Fault::kConnectTimeout
                                          : FaultOf(status);
}

void Counters::Report(Fault fault, const std::string& message) {
  faults_[static_cast<size_t>(fault)].fetch_add(1, std::memory_order_relaxed);
  const uint64_t count = fault_count();
  if (count <= most_reports_) Complain(message);
  if (count == most_reports_) Complain("more faults are counted only");
}

void Counters::AddTo(JsonObject& object) const {
  object.Add("connected", connected.load())
      .Add("connect_attempts", connect_attempts.load())
      .Add("reconnects", reconnects.load())
      .Add("connect_timeouts", count(Fault::kConnectTimeout))
      .Add("read_timeouts", count(Fault::kReadTimeout))
      .Add("received", received.load())
      .Add("logged", logged.load());
}

JsonObject Counters::faults() const {
  JsonObject object;
  for (size_t i = 0; i < faults_.size(); ++i) {
    object.Add(kFaultNames[i], faults_[i].load(std::memory_order_relaxed));
  }
  return object;
}

uint64_t Counters::fault_count() const {
  uint64_t count = 0;
  for (const auto& fault : faults_) {
    count += fault.load(std::memory_order_relaxed);
  }
  return count;
}

}  // namespace relay
