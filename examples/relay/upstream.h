// Upstream: follows one upstream in a task of its own, in plain blocking style:
// connects, takes its events, and connects again when that went wrong, for as
// long as it takes.
//
// **Exactly once and in order.** Each hello tells the upstream from which event
// on to send, which is the one after the last that was handed on; an event with
// any other number ends the connection. An ack says only what is in the log.
//
// **Alive or not.** Upstreams are mostly idle. Between two frames one may be
// silent for `silence_timeout`, and sends heartbeats so as not to be; from the
// first byte of a frame to its last it has `frame_timeout`, and so has a write
// to it. A connect has `connect_timeout`.
#ifndef WEFT_EXAMPLES_RELAY_UPSTREAM_H_
#define WEFT_EXAMPLES_RELAY_UPSTREAM_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "weft/examples/relay/backoff.h"
#include "weft/examples/relay/config.h"
#include "weft/examples/relay/counters.h"
#include "weft/examples/relay/frame.h"
#include "weft/examples/relay/frame_reader.h"
#include "weft/examples/relay/log_marks.h"
#include "weft/net/tcp_stream.h"
#include "weft/runtime/scope.h"
#include "weft/sync/channel.h"
#include "weft/sync/semaphore.h"

namespace relay {

// What all upstreams share.
template <weft::Backend B>
struct UpstreamContext {
  const Config& config;
  Counters<B>& counters;
  const LogMarks<B>& log_marks;
  weft::Channel<Message, B>& events;  // where they are handed on
  weft::Semaphore<B>& connecting;     // bounds how many connect at once
};

template <weft::Backend B>
class Upstream {
 public:
  // The waits before connects depend on `seed`.
  Upstream(const UpstreamContext<B>& context, uint32_t index, uint64_t seed)
      : context_(context),
        config_(context.config),
        index_(index),
        backoff_(context.config.retry, seed) {}

  // Follows the upstream to its end message, or until cancelled.
  void Follow(B& io) {
    while (!FollowOnce(io) && weft::Sleep(io, backoff_.Next()).ok()) {
    }
  }

 private:
  // How many events an upstream has to keep, more or less.
  static constexpr uint64_t kEventsPerAck = 64;

  // One connection, from its beginning to its end. Returns whether it was the
  // last.
  bool FollowOnce(B& io) {
    absl::StatusOr<weft::net::TcpStream> stream = Connect(io);
    if (!stream.ok()) {
      return Report(ConnectFaultOf(stream.status()), stream.status());
    }
    CountConnection();
    const absl::Cleanup uncount = [&] { --context_.counters.connected_now; };
    const weft::MonotonicTime start = io.Now();
    const absl::Status status = TakeEvents(io, *stream);
    backoff_.Lasted(io.Now() - start);
    return status.ok() || Report(FaultOf(status), status);
  }

  absl::StatusOr<weft::net::TcpStream> Connect(B& io) {
    if (absl::Status status = context_.connecting.Acquire(io); !status.ok()) {
      return status;
    }
    const absl::Cleanup release = [&] { context_.connecting.Release(io); };
    ++context_.counters.connect_attempts;
    return weft::WithTimeout(io, config_.connect_timeout, [&] {
      return weft::net::TcpStream::Connect(io, config_.source);
    });
  }

  // OK after the end message.
  absl::Status TakeEvents(B& io, weft::net::TcpStream& stream) {
    absl::Status status = Write(io, stream, Kind::kHello, last_);
    FrameReader reader(stream, {.frame = config_.frame_timeout,
                                .silence = config_.silence_timeout});
    while (status.ok()) {
      absl::StatusOr<std::optional<Message>> message = reader.Next(io);
      if (!message.ok()) return message.status();
      if (!message->has_value()) {
        return absl::OutOfRangeError("closed without an end");
      }
      const Kind kind = (*message)->kind;
      status = Check(**message);
      if (!status.ok() || kind == Kind::kEnd) return status;
      if (kind == Kind::kEvent) status = HandOn(io, *std::move(*message));
      if (status.ok()) status = Acknowledge(io, stream, kind);
    }
    return status;
  }

  // Whether `message` may follow event number `last_`.
  absl::Status Check(const Message& message) const {
    const bool is_event = message.kind == Kind::kEvent;
    if (!is_event && message.kind != Kind::kEnd &&
        message.kind != Kind::kHeartbeat) {
      return absl::InvalidArgumentError("a message that upstreams do not send");
    }
    const uint64_t expected = is_event ? last_ + 1 : last_;
    if (message.upstream != index_ || message.sequence != expected) {
      return absl::FailedPreconditionError(
          absl::StrCat("got ", message.upstream, ":", message.sequence,
                       ", expected ", index_, ":", expected));
    }
    return absl::OkStatus();
  }

  // An event that is not handed on, because the relay stops, was never here.
  absl::Status HandOn(B& io, Message event) {
    absl::Status status = context_.events.Send(io, std::move(event));
    if (!status.ok()) return status;
    ++last_;
    context_.counters.received.fetch_add(1, std::memory_order_relaxed);
    return absl::OkStatus();
  }

  // Acknowledges what is in the log, if it is time to after a message.
  absl::Status Acknowledge(B& io, weft::net::TcpStream& stream, Kind kind) {
    const uint64_t logged = context_.log_marks.Get(index_);
    if (kind != Kind::kHeartbeat && logged < acknowledged_ + kEventsPerAck) {
      return absl::OkStatus();
    }
    acknowledged_ = logged;
    return Write(io, stream, Kind::kAck, logged);
  }

  absl::Status Write(B& io, weft::net::TcpStream& stream, Kind kind,
                     uint64_t sequence) {
    std::string frame;
    AppendFrame({.kind = kind, .upstream = index_, .sequence = sequence},
                frame);
    return weft::WithTimeout(io, config_.frame_timeout,
                             [&] { return stream.WriteAll(io, frame); });
  }

  void CountConnection() {
    Counters<B>& counters = context_.counters;
    ++(was_connected_ ? counters.reconnects : counters.connected);
    ++counters.connected_now;
    was_connected_ = true;
  }

  // Counts why a connection was lost; true if there is to be no other.
  bool Report(Fault fault, const absl::Status& status) {
    if (absl::IsCancelled(status)) return true;
    context_.counters.Report(
        fault, absl::StrCat("upstream ", index_, ": ", status.message()));
    return false;
  }

  const UpstreamContext<B> context_;
  const Config& config_;
  const uint32_t index_;
  Backoff backoff_;
  uint64_t last_ = 0;          // number of the last event that was handed on
  uint64_t acknowledged_ = 0;  // as it was last written
  bool was_connected_ = false;
};

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_UPSTREAM_H_
