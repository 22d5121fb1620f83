#include "weft/examples/relay/config.h"

#include <vector>

#include "weft/examples/relay/flags.h"

namespace relay {

absl::StatusOr<Config> ReadConfig(int argc, char** argv) {
  Config config;
  std::vector<Flag> flags = WeftFlags(config.weft);
  flags.insert(
      flags.end(),
      {{"source", "address of the upstreams", SetAddress(config.source)},
       {"upstreams", "how many there are", SetNumber(config.upstreams, 1, 1e6)},
       {"connecting", "how many may be connecting at once",
        SetNumber(config.connecting, 1, 1e6)},
       {"connect_timeout", "how long a connect may take",
        SetDuration(config.connect_timeout)},
       {"frame_timeout", "how long a frame of an upstream may take",
        SetDuration(config.frame_timeout)},
       {"silence_timeout", "how long an upstream may send nothing",
        SetDuration(config.silence_timeout)},
       {"retry_first", "the first wait before connecting again",
        SetDuration(config.retry.first)},
       {"retry_most", "the longest wait before connecting again",
        SetDuration(config.retry.most)},
       {"retry_healthy", "after a connection of that length waits are short",
        SetDuration(config.retry.healthy)},
       {"log", "file to which events are appended", SetText(config.log)},
       {"event_queue", "events that may wait for the log",
        SetNumber(config.event_queue, 1, 1e6)},
       {"subscribers", "where to listen for subscribers",
        SetAddress(config.subscribers)},
       {"subscriber_queue", "events that a subscriber may lag behind",
        SetNumber(config.subscriber_queue, 1, 1e6)},
       {"subscriber_buffer", "bytes in the send buffer of a subscriber",
        SetNumber(config.subscriber_buffer, 4096, 1 << 30)},
       {"health", "where to listen for GET /health", SetAddress(config.health)},
       {"fault_reports", "how many faults to tell of on standard error",
        SetNumber(config.fault_reports, 0, 1e9)},
       {"stop_within", "how long the relay may take to stop",
        SetDuration(config.stop_within)}});
  absl::Status status = ParseFlags(argc, argv, flags);
  if (status.ok() && config.source.port() == 0) {
    status = absl::InvalidArgumentError(
        "option --source: give the address of the upstreams");
  }
  if (status.ok() && config.retry.first > config.retry.most) {
    status = absl::InvalidArgumentError(
        "option --retry_first: is longer than --retry_most");
  }
  if (status.ok()) status = config.weft.Validate();
  if (!status.ok()) return status;
  return config;
}

}  // namespace relay
