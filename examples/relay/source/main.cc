// source: plays the upstreams and the subscribers of a relay and checks what
// it does. `--help` lists the flags.
//
// It prints "upstreams <address>", reads from standard input the line that the
// relay prints, plays, and prints one line of JSON. The exit code is 1 if an
// event was lost, doubled, damaged or out of order, and if the slow subscriber
// was not cut off.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "weft/backends/evented/evented.h"
#include "weft/examples/relay/flags.h"
#include "weft/examples/relay/frame.h"
#include "weft/examples/relay/output.h"
#include "weft/examples/relay/process.h"
#include "weft/examples/relay/source/misbehave.h"
#include "weft/examples/relay/source/plan.h"
#include "weft/examples/relay/source/play.h"

namespace relay {
namespace {

// Beside the upstreams: subscribers, probes, and what the backend needs.
constexpr uint64_t kOtherDescriptors = 1024;

// A list of names of misdeeds, with commas.
Setter SetMisdeeds(std::vector<Misdeed>& target) {
  return [&target](const std::string& value) {
    target.clear();
    for (const std::string& word :
         std::vector<std::string>(absl::StrSplit(value, ','))) {
      const auto* name = std::ranges::find(kMisdeedNames, word);
      if (name == kMisdeedNames.end()) {
        return absl::InvalidArgumentError(
            absl::StrCat("'", word, "' is not possible; there are ",
                         absl::StrJoin(kMisdeedNames, ", ")));
      }
      target.push_back(static_cast<Misdeed>(name - kMisdeedNames.begin()));
    }
    return absl::OkStatus();
  };
}

absl::Status ReadPlan(int argc, char** argv, Plan& plan) {
  std::vector<Flag> flags = WeftFlags(plan.weft);
  flags.insert(
      flags.end(),
      {{"upstreams", "well-behaved upstreams",
        SetNumber(plan.upstreams, 1, 1e6)},
       {"faulty", "upstreams that misbehave, beside those",
        SetNumber(plan.faulty, 0, 1000)},
       {"faults", "what they do in turn, of reset,garbage,stall,close,...",
        SetMisdeeds(plan.misdeeds)},
       {"faults_each", "how often each of them does something",
        SetNumber(plan.misdeeds_each, 1, 1000)},
       {"outage", "for how long, once, all upstreams are gone",
        SetDuration(plan.outage)},
       {"heartbeat", "the longest silence of an upstream",
        SetDuration(plan.heartbeat)},
       {"healthy", "subscribers, beside the slow one",
        SetNumber(plan.subscribers, 1, 100)},
       {"rate", "events a second, in all", SetNumber(plan.rate, 1, 1e6)},
       {"seconds", "how long events are sent",
        SetNumber(plan.seconds, 1, 3600)},
       {"payload", "bytes of an event",
        SetNumber(plan.payload_size, 0, kMaxPayloadSize)},
       {"seed", "of the times of events and faults",
        SetNumber(plan.seed, 0, 1e9)}});
  absl::Status status = ParseFlags(argc, argv, flags);
  if (status.ok()) status = plan.weft.Validate();
  if (status.ok()) {
    status = RaiseDescriptorLimit(plan.all_upstreams() + kOtherDescriptors);
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
