// Service: the relay as a process: it says when it is ready, stops at a signal
// and knows what it has cost.
#ifndef WEFT_EXAMPLES_RELAY_SERVICE_H_
#define WEFT_EXAMPLES_RELAY_SERVICE_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "weft/examples/relay/config.h"
#include "weft/examples/relay/doors.h"
#include "weft/examples/relay/json.h"
#include "weft/examples/relay/output.h"
#include "weft/examples/relay/process.h"
#include "weft/examples/relay/relay.h"
#include "weft/examples/relay/stop_signals.h"
#include "weft/runtime/io.h"
#include "weft/runtime/task_group.h"

namespace relay {

template <weft::Backend B>
class Service {
 public:
  Service(B& io, const Config& config, Doors doors, StopSignals& signals)
      : signals_(signals),
        ready_(absl::StrCat(
            "subscribers ", doors.subscribers.local_address().ToString(),
            " health ", doors.health.local_address().ToString())),
        relay_(io, config, std::move(doors)) {}

  // Runs until all upstreams have ended or a signal comes.
  absl::Status Run(B& io) {
    weft::TaskGroup<B> aside(io);
    if (!aside.Spawn({.name = "signals"}, [&] { AwaitSignal(io); }) ||
        !aside.Spawn({.name = "sampler"}, [&] { SampleThreads(io); })) {
      aside.Cancel();
      return aside.Await(io);
    }
    // Who connects from now on waits in the kernel until the relay accepts.
    if (absl::Status status = PrintLine(io, ready_); !status.ok()) {
      return status;
    }
    absl::Status status = relay_.Run(io);
    aside.Cancel();
    status.Update(aside.Await(io));
    return status;
  }

  // The figures of the whole run; after it.
  JsonObject figures(B& io) {
    const Usage usage = ReadUsage();
    const weft::Description self = io.Describe();
    const uint64_t logged = relay_.counters().logged.load();
    JsonObject object;
    object.Add("backend", self.backend)
        .Add("driver", self.driver)
        .Add("threads", peak_threads_)
        .Add("rss_kib", usage.peak_rss_kib)
        .Add("cpu_us_per_event",
             logged == 0 ? 0.0 : usage.cpu_us / static_cast<double>(logged));
    relay_.AddTo(io, object);
    return object;
  }

 private:
  void AwaitSignal(B& io) {
    const absl::StatusOr<int> signal = signals_.Wait(io);
    if (absl::IsCancelled(signal.status())) return;
    Complain(signal.ok() ? absl::StrCat("stops at signal ", *signal)
                         : std::string(signal.status().message()));
    relay_.Stop();
  }

  void SampleThreads(B& io) {
    do {
      peak_threads_ = std::max(peak_threads_, ReadUsage().threads);
    } while (weft::Sleep(io, std::chrono::milliseconds(100)).ok());
  }

  StopSignals& signals_;
  const std::string ready_;
  Relay<B> relay_;
  uint64_t peak_threads_ = 0;  // of the sampler, until it has ended
};

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_SERVICE_H_
