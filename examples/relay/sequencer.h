// Sequencer: gives all events one order, writes them to the log and then to
// the subscribers. One task does this, so the order needs no lock.
#ifndef WEFT_EXAMPLES_RELAY_SEQUENCER_H_
#define WEFT_EXAMPLES_RELAY_SEQUENCER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "weft/examples/relay/counters.h"
#include "weft/examples/relay/fan_out.h"
#include "weft/examples/relay/frame.h"
#include "weft/examples/relay/log.h"
#include "weft/examples/relay/log_marks.h"
#include "weft/sync/channel.h"

namespace relay {

template <weft::Backend B>
class Sequencer {
 public:
  Sequencer(weft::Channel<Message, B>& events, Log& log, LogMarks<B>& log_marks,
            FanOut<B>& fan_out, Counters<B>& counters)
      : events_(events),
        log_(log),
        log_marks_(log_marks),
        fan_out_(fan_out),
        counters_(counters) {}

  // Runs until the channel is closed and empty, or the log fails.
  absl::Status Run(B& io) {
    for (;;) {
      absl::StatusOr<Message> event = events_.Receive(io);
      if (absl::IsOutOfRange(event.status())) return log_.Sync(io);
      if (!event.ok()) return event.status();
      // Takes what else is there, so that a burst is one write.
      for (; event.ok(); event = events_.TryReceive(io)) {
        Add(*std::move(event));
        if (batch_.size() == kMostPerWrite) break;
      }
      if (absl::Status status = Flush(io); !status.ok()) return status;
    }
  }

 private:
  static constexpr size_t kMostPerWrite = 256;

  struct Origin {
    uint32_t upstream;
    uint64_t sequence;
  };

  void Add(Message event) {
    event.order = ++last_;
    std::string frame;
    AppendFrame(event, frame);
    bytes_ += frame;
    batch_.push_back(std::make_shared<const std::string>(std::move(frame)));
    origins_.push_back({event.upstream, event.sequence});
  }

  // Nobody sees an event before it is in the log, and its upstream is not told
  // before all subscribers are going to get it.
  absl::Status Flush(B& io) {
    if (absl::Status status = log_.Append(io, bytes_); !status.ok()) {
      return status;
    }
    counters_.logged.fetch_add(batch_.size(), std::memory_order_relaxed);
    fan_out_.Publish(io, batch_);
    for (const Origin& origin : origins_) {
      log_marks_.Set(origin.upstream, origin.sequence);
    }
    origins_.clear();
    bytes_.clear();
    batch_.clear();
    return absl::OkStatus();
  }

  weft::Channel<Message, B>& events_;
  Log& log_;
  LogMarks<B>& log_marks_;
  FanOut<B>& fan_out_;
  Counters<B>& counters_;
  uint64_t last_ = 0;  // number of the last event
  std::string bytes_;  // the batch as it goes to the log
  std::vector<EventFrame> batch_;
  std::vector<Origin> origins_;  // of the events in the batch
};

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_SEQUENCER_H_
