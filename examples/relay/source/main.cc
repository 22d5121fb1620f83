// source: plays the upstreams and the subscribers of a relay and checks what
// it does. `--help` lists the flags.
//
// It prints "upstreams <address>", reads from standard input the line that the
// relay prints, plays, and prints one line of JSON. The exit code is 1 if an
// event was lost, doubled, damaged or out of order, and if the slow subscriber
// was not cut off.
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "weft/backends/evented/evented.h"
#include "weft/examples/relay/flags.h"
#include "weft/examples/relay/frame.h"
#include "weft/examples/relay/output.h"
#include "weft/examples/relay/process.h"
#include "weft/examples/relay/source/plan.h"
#include "weft/examples/relay/source/play.h"

namespace relay {
namespace {

// Beside the upstreams: subscribers, probes, and what the backend needs.
constexpr uint64_t kOtherDescriptors = 1024;

absl::Status ReadPlan(int argc, char** argv, Plan& plan) {
  std::vector<Flag> flags = WeftFlags(plan.weft);
  flags.insert(
      flags.end(),
      {{"upstreams", "well-behaved upstreams",
        SetNumber(plan.upstreams, 1, 1e6)},
       {"faulty", "upstreams with faults, beside those",
        SetNumber(plan.faulty, 0, 1000)},
       {"healthy", "subscribers, beside the slow one",
        SetNumber(plan.subscribers, 1, 100)},
       {"rate", "events a second, in all", SetNumber(plan.rate, 1, 1e6)},
       {"seconds", "how long events are sent",
        SetNumber(plan.seconds, 1, 3600)},
       {"payload", "bytes of an event",
        SetNumber(plan.payload_size, 0, kMaxPayloadSize)},
       {"seed", "of the times of events", SetNumber(plan.seed, 0, 1e9)}});
  absl::Status status = ParseFlags(argc, argv, flags);
  if (status.ok()) status = plan.weft.Validate();
  if (status.ok()) {
    status =
        RaiseDescriptorLimit(plan.upstreams + plan.faulty + kOtherDescriptors);
  }
  return status;
}

int Run(weft::Evented& io, const Plan& plan) {
  const absl::StatusOr<Outcome> outcome = Play(io, plan);
  absl::Status status = outcome.status();
  if (outcome.ok()) {
    status = PrintLine(io, outcome->figures.text());
    status.Update(outcome->verdict);
  }
  if (status.ok()) return 0;
  Complain(status);
  return kExitFailure;
}

int Main(int argc, char** argv) {
  Plan plan;
  absl::Status status = ReadPlan(argc, argv, plan);
  if (!status.ok()) {
    Complain(status);
    return kExitUsage;
  }
  const auto io = weft::Evented::Create(plan.weft);
  if (!io.ok()) {
    Complain(io.status());
    return kExitUsage;
  }
  const absl::StatusOr<int> code =
      (*io)->Run([&](weft::Evented& evented) { return Run(evented, plan); });
  if (code.ok()) return *code;
  Complain(code.status());
  return kExitUsage;
}

}  // namespace
}  // namespace relay

int main(int argc, char** argv) { return relay::Main(argc, argv); }
