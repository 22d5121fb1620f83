// The wire format of the relay: messages in frames with a length and a
// checksum. The log file is a row of the same frames.
//
//   std::string bytes;
//   AppendFrame({.kind = Kind::kEvent, .upstream = 7, .sequence = 1}, bytes);
//   ...
//   Message message;
//   absl::StatusOr<size_t> used = ParseFrame(bytes, message);
//
// A frame, all numbers little-endian:
//
//   size      4 bytes   of the body
//   checksum  4 bytes   CRC-32 of the body
//   body      kind (1), upstream (4), order (8), sequence (8), sent_ns (8),
//             payload (the rest)
//
// On the connection of an upstream:
//
//   relay     hello       asks for the events after number `sequence`
//   upstream  event, ...  from that number on, without a gap
//   upstream  heartbeat   when it has sent nothing for a while
//   relay     ack         the events up to `sequence` are in the log: now and
//                         then, and in answer to each heartbeat
//   upstream  end         there are no more events; the relay closes
//
// Until it is told by an ack, an upstream keeps its events: after a connection
// broke, the next hello says from where they are needed again.
#ifndef WEFT_EXAMPLES_RELAY_FRAME_H_
#define WEFT_EXAMPLES_RELAY_FRAME_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace relay {

enum class Kind : uint8_t {
  kHello = 1,      // relay to upstream: asks for the events of `upstream`
  kEvent = 2,      // upstream to relay, relay to subscriber
  kEnd = 3,        // the last message of a stream
  kWelcome = 4,    // relay to subscriber: `order` is the first that will come
  kHeartbeat = 5,  // upstream to relay: is still there
  kAck = 6,        // relay to upstream: events are in the log
};

struct Message {
  Kind kind = Kind::kEvent;
  uint32_t upstream = 0;
  // Event: its place among all events, from 1, given by the relay. End of a
  // subscription: the last one there is.
  uint64_t order = 0;
  // Event: its place among those of its upstream, from 1. Hello: the last one
  // that the relay has. Ack: the last one in the log. Heartbeat: the last one
  // that was sent. End of an upstream: the last one there is.
  uint64_t sequence = 0;
  // Event: when it was sent, on CLOCK_MONOTONIC.
  int64_t sent_ns = 0;
  std::string payload;

  friend bool operator==(const Message&, const Message&) = default;
};

inline constexpr size_t kHeaderSize = 8;
inline constexpr size_t kMinBodySize = 29;
inline constexpr size_t kMaxBodySize = 4096;
inline constexpr size_t kMaxPayloadSize = kMaxBodySize - kMinBodySize;
inline constexpr size_t kMaxFrameSize = kHeaderSize + kMaxBodySize;

// Appends `message` to `out`. Its payload has at most kMaxPayloadSize bytes.
void AppendFrame(const Message& message, std::string& out);

// Reads the frame at the front of `bytes` and returns its size; 0 if it is not
// all there yet. Errors: INVALID_ARGUMENT if this is no frame (its size or its
// kind is impossible), DATA_LOSS if the checksum is wrong.
absl::StatusOr<size_t> ParseFrame(std::string_view bytes, Message& message);

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_FRAME_H_
