// FrameReader: messages, one after the other, from a stream.
//
//   FrameReader reader(stream, {.frame = 2s, .silence = 30s});
//   for (;;) {
//     absl::StatusOr<std::optional<Message>> message = reader.Next(io);
//     if (!message.ok()) return message.status();
//     if (!message->has_value()) break;  // the end of the stream
//     ...
//   }
#ifndef WEFT_EXAMPLES_RELAY_FRAME_READER_H_
#define WEFT_EXAMPLES_RELAY_FRAME_READER_H_

#include <array>
#include <cstddef>
#include <optional>

#include "absl/status/statusor.h"
#include "weft/examples/relay/frame.h"
#include "weft/net/tcp_stream.h"
#include "weft/runtime/clock.h"
#include "weft/runtime/io.h"

namespace relay {

// How long a peer may take.
struct ReadLimits {
  // From the first byte of a frame to its last.
  weft::Duration frame = weft::Duration::max();
  // From one frame to the next.
  weft::Duration silence = weft::Duration::max();
};

class FrameReader {
 public:
  explicit FrameReader(weft::net::TcpStream& stream,
                       const ReadLimits& limits = {})
      : stream_(stream), limits_(limits) {}

  // Blocks until there is a message; nothing at the end of the stream.
  // Errors: OUT_OF_RANGE if the stream ends within a frame, DEADLINE_EXCEEDED
  // if the peer takes longer than its limits, and those of ParseFrame and
  // TcpStream::Read. Once interrupted from outside, it may be called again.
  absl::StatusOr<std::optional<Message>> Next(weft::Io& io);

 private:
  // Waits for more bytes; 0 at the end of the stream.
  absl::StatusOr<size_t> Fill(weft::Io& io);

  weft::net::TcpStream& stream_;
  const ReadLimits limits_;
  // When the frame that has begun must be complete.
  std::optional<weft::MonotonicTime> frame_deadline_;
  // What was received and is not parsed yet is [begin_, end_). The buffer is
  // part of the reader's frame, so an idle reader costs the pages it touched.
  size_t begin_ = 0;
  size_t end_ = 0;
  std::array<char, 4 * kMaxFrameSize> buffer_;
};

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_FRAME_READER_H_
