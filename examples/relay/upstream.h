// Upstreams: follows every upstream in a task of its own, in plain blocking
// style, and hands their events on.
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
#include "weft/examples/relay/config.h"
#include "weft/examples/relay/counters.h"
#include "weft/examples/relay/frame.h"
#include "weft/examples/relay/frame_reader.h"
#include "weft/examples/relay/output.h"
#include "weft/net/tcp_stream.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/channel.h"
#include "weft/sync/semaphore.h"

namespace relay {

template <weft::Backend B>
class Upstreams {
 public:
  Upstreams(B& io, const Config& config, Counters& counters,
            weft::Channel<Message, B>& events)
      : config_(config),
        counters_(counters),
        events_(events),
        connecting_(static_cast<uint32_t>(config.connecting),
                    static_cast<uint32_t>(config.connecting)),
        tasks_(io) {}

  // Follows all upstreams until each has ended in its own way, or until
  // somebody cancels.
  void Follow(B& io) {
    for (uint32_t index = 0; index < config_.upstreams; ++index) {
      const bool started = tasks_.Spawn({.name = "upstream"}, [&, index] {
        Report(index, FollowOne(io, index));
      });
      if (!started) {
        counters_.Report(Fault::kResources,
                         absl::StrCat("upstream ", index, ": no task for it"));
      }
    }
    // The group knows why a task was refused; nothing else is an error to it.
    const absl::Status status = tasks_.Await(io);
    if (!status.ok()) Complain(status);
  }

  // Ends all connections. Any task.
  void Cancel() { tasks_.Cancel(); }

 private:
  absl::StatusOr<weft::net::TcpStream> Connect(B& io) {
    if (absl::Status status = connecting_.Acquire(io); !status.ok()) {
      return status;
    }
    const absl::Cleanup release = [&] { connecting_.Release(io); };
    return weft::net::TcpStream::Connect(io, config_.source);
  }

  // Everything that has to do with one upstream, from connect to end.
  absl::Status FollowOne(B& io, uint32_t index) {
    absl::StatusOr<weft::net::TcpStream> stream = Connect(io);
    if (!stream.ok()) return stream.status();
    counters_.connected.fetch_add(1, std::memory_order_relaxed);

    std::string hello;
    AppendFrame({.kind = Kind::kHello, .upstream = index}, hello);
    if (absl::Status status = stream->WriteAll(io, hello); !status.ok()) {
      return status;
    }
    FrameReader reader(*stream, config_.frame_timeout);
    for (uint64_t sequence = 0;; ++sequence) {
      absl::StatusOr<std::optional<Message>> message = reader.Next(io);
      if (!message.ok()) return message.status();
      if (!message->has_value()) {
        return absl::OutOfRangeError("closed without an end");
      }
      Message& event = **message;
      absl::Status status = Check(event, index, sequence);
      if (!status.ok() || event.kind == Kind::kEnd) return status;
      counters_.received.fetch_add(1, std::memory_order_relaxed);
      status = events_.Send(io, std::move(event));
      if (!status.ok()) return absl::CancelledError("the relay stops");
    }
  }

  // Whether `message` may follow event number `sequence` of this upstream.
  static absl::Status Check(const Message& message, uint32_t index,
                            uint64_t sequence) {
    if (message.kind != Kind::kEvent && message.kind != Kind::kEnd) {
      return absl::InvalidArgumentError("a message that upstreams do not send");
    }
    const uint64_t expected =
        message.kind == Kind::kEvent ? sequence + 1 : sequence;
    if (message.upstream != index || message.sequence != expected) {
      return absl::FailedPreconditionError(
          absl::StrCat("got ", message.upstream, ":", message.sequence,
                       ", expected ", index, ":", expected));
    }
    return absl::OkStatus();
  }

  void Report(uint32_t index, const absl::Status& status) {
    if (status.ok() || absl::IsCancelled(status)) return;
    counters_.Report(FaultOf(status),
                     absl::StrCat("upstream ", index, ": ", status.message()));
  }

  const Config& config_;
  Counters& counters_;
  weft::Channel<Message, B>& events_;
  weft::Semaphore<B> connecting_;
  weft::TaskGroup<B> tasks_;
};

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_UPSTREAM_H_
