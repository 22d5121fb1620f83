// relay: follows many upstreams, gives their events one order, logs them and
// hands them to subscribers. `--help` lists the flags.
//
// Once it listens it prints "subscribers <address> health <address>", and at
// the end one line of JSON with its figures.
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "weft/backends/run.h"
#include "weft/examples/relay/config.h"
#include "weft/examples/relay/doors.h"
#include "weft/examples/relay/output.h"
#include "weft/examples/relay/process.h"
#include "weft/examples/relay/service.h"
#include "weft/examples/relay/stop_signals.h"

namespace relay {
namespace {

// How many descriptors it takes to follow all upstreams.
uint64_t DescriptorsFor(const Config& config) {
  // A thread that waits for a socket has one more to be woken by.
  const uint64_t per_upstream =
      config.weft.backend == weft::BackendKind::kThreaded ? 2 : 1;
  // Subscribers, health checks, and what the backend itself needs.
  constexpr uint64_t kOthers = 256;
  return per_upstream * config.upstreams + kOthers;
}

template <weft::Backend B>
int Serve(B& io, const Config& config, StopSignals& signals) {
  absl::StatusOr<Doors> doors = OpenDoors(io, config);
  if (!doors.ok()) {
    Complain(doors.status());
    return kExitUsage;
  }
  Service<B> service(io, config, *std::move(doors), signals);
  absl::Status status = service.Run(io);
  status.Update(PrintLine(io, service.figures(io).text()));
  if (status.ok()) return 0;
  Complain(status);
  return kExitFailure;
}

int Main(int argc, char** argv) {
  const absl::StatusOr<Config> config = ReadConfig(argc, argv);
  absl::Status status = config.status();
  if (status.ok()) {
    status = RaiseDescriptorLimit(DescriptorsFor(*config));
  }
  absl::StatusOr<StopSignals> signals = StopSignals::Block();
  status.Update(signals.status());
  if (!status.ok()) {
    Complain(status);
    return kExitUsage;
  }
  return weft::RunMain(config->weft,
                       [&](auto& io) { return Serve(io, *config, *signals); });
}

}  // namespace
}  // namespace relay

int main(int argc, char** argv) { return relay::Main(argc, argv); }
