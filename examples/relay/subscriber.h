// Subscriber: one of those who get every event, with a queue of its own. Who
// lets it run full is cut off, so that nobody else has to wait.
#ifndef WEFT_EXAMPLES_RELAY_SUBSCRIBER_H_
#define WEFT_EXAMPLES_RELAY_SUBSCRIBER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "weft/examples/relay/frame.h"
#include "weft/net/bytes.h"
#include "weft/net/tcp_stream.h"
#include "weft/runtime/scope.h"
#include "weft/sync/channel.h"

namespace relay {

// An event as bytes, shared by all queues that it lies in.
using EventFrame = std::shared_ptr<const std::string>;

// Made in the task that serves the subscriber. Offer, Finish and Cut are for
// the FanOut, which calls them from other tasks.
template <weft::Backend B>
class Subscriber {
 public:
  Subscriber(B& io, weft::net::TcpStream stream, size_t queue_capacity)
      : stream_(std::move(stream)), queue_(queue_capacity), serving_(io) {}

  // Queues one event; false if the queue is full. Does not block.
  bool Offer(B& io, EventFrame event) {
    return queue_.TrySend(io, std::move(event)).ok();
  }
  // There is nothing after event number `last`.
  void Finish(B& io, uint64_t last) {
    last_ = last;
    queue_.Close(io);
  }
  // Stops serving at once.
  void Cut() { serving_.Cancel(); }

  // Writes events from number `first` on, until there is nothing left or the
  // subscriber is cut off (CANCELLED) or breaks the connection.
  absl::Status Serve(B& io, uint64_t first) {
    absl::Status status = Write(io, {.kind = Kind::kWelcome, .order = first});
    if (status.ok()) status = WriteQueue(io);
    if (status.ok()) status = Write(io, {.kind = Kind::kEnd, .order = last_});
    // What is in the send buffer would keep a slow reader busy for long.
    if (!status.ok()) (void)stream_.SetResetOnClose(true);
    stream_.Close();
    return status;
  }

  uint64_t delivered() const { return delivered_; }
  size_t peak_queue() const { return queue_.peak_size(); }

 private:
  absl::Status Write(B& io, const Message& message) {
    std::string frame;
    AppendFrame(message, frame);
    return stream_.WriteAll(io, frame);
  }

  // Writes all that is queued at a time in one system call.
  absl::Status WriteQueue(B& io) {
    std::vector<EventFrame> events;
    std::vector<weft::net::ConstBytes> pieces;
    for (;;) {
      absl::StatusOr<EventFrame> event = queue_.Receive(io);
      if (absl::IsOutOfRange(event.status())) return absl::OkStatus();
      if (!event.ok()) return event.status();
      events.clear();
      pieces.clear();
      for (; event.ok(); event = queue_.TryReceive(io)) {
        pieces.emplace_back(**event);
        events.push_back(*std::move(event));
        if (pieces.size() == weft::net::TcpStream::kMaxPieces) break;
      }
      absl::Status status = stream_.WriteAllVector(io, pieces);
      if (!status.ok()) return status;
      delivered_ += events.size();
    }
  }

  weft::net::TcpStream stream_;
  weft::Channel<EventFrame, B> queue_;
  // Holds for all that the task does while the subscriber exists.
  weft::CancelScope serving_;
  uint64_t last_ = 0;  // set before queue_ is closed, read after
  uint64_t delivered_ = 0;
};

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_SUBSCRIBER_H_
