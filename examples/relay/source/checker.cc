#include "weft/examples/relay/source/checker.h"

#include <chrono>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"

namespace relay {
namespace {

constexpr weft::Duration kFrameTimeout = std::chrono::seconds(30);

}  // namespace

Checker::Checker(weft::net::TcpStream stream, uint64_t upstreams)
    : stream_(std::move(stream)),
      reader_(stream_, {.frame = kFrameTimeout}),
      last_sequence_(upstreams) {}

absl::Status Checker::AwaitWelcome(weft::Io& io) {
  const absl::StatusOr<std::optional<Message>> message = reader_.Next(io);
  if (!message.ok()) return message.status();
  if (!message->has_value() || (*message)->kind != Kind::kWelcome) {
    return absl::InvalidArgumentError("the relay does not welcome subscribers");
  }
  last_order_ = (*message)->order - 1;
  return absl::OkStatus();
}

absl::Status Checker::Run(weft::Io& io) {
  for (;;) {
    const absl::StatusOr<std::optional<Message>> next = reader_.Next(io);
    if (absl::IsDataLoss(next.status())) ++checksum_errors_;
    if (!next.ok()) return next.status();
    if (!next->has_value()) return absl::OutOfRangeError("cut off");
    const Message& message = **next;
    if (message.kind == Kind::kEnd) {
      if (message.order != last_order_) ++order_errors_;
      return absl::OkStatus();
    }
    Check(message);
    latencies_.Add(io.Now().time_since_epoch() -
                   weft::Duration(message.sent_ns));
  }
}

void Checker::Check(const Message& event) {
  const bool right = event.order == last_order_ + 1 &&
                     event.upstream < last_sequence_.size() &&
                     event.sequence == last_sequence_[event.upstream] + 1;
  ++delivered_;
  last_order_ = event.order;
  if (!right) ++order_errors_;
  if (event.upstream < last_sequence_.size()) {
    last_sequence_[event.upstream] = event.sequence;
  }
  constexpr uint64_t kFactor = 0x9e3779b97f4a7c15;
  digest_ = (digest_ ^ event.order) * kFactor;
  digest_ = (digest_ ^ event.upstream) * kFactor;
  digest_ = (digest_ ^ event.sequence) * kFactor;
}

}  // namespace relay
