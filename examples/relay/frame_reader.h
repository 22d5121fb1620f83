// FrameReader: messages, one after the other, from a stream.
//
//   FrameReader reader(stream, /*frame_timeout=*/2s);
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

class FrameReader {
 public:
  // A peer may be silent for ever between two frames, but from the first byte
  // of a frame to its last it has `frame_timeout`.
  FrameReader(weft::net::TcpStream& stream, weft::Duration frame_timeout)
      : stream_(stream), frame_timeout_(frame_timeout) {}

  // Blocks until there is a message; nothing at the end of the stream.
  // Errors: OUT_OF_RANGE if the stream ends within a frame, DEADLINE_EXCEEDED
  // if it stalls there, and those of ParseFrame and TcpStream::Read.
  absl::StatusOr<std::optional<Message>> Next(weft::Io& io);

 private:
  // Waits for more bytes; 0 at the end of the stream.
  absl::StatusOr<size_t> Fill(weft::Io& io);

  weft::net::TcpStream& stream_;
  const weft::Duration frame_timeout_;
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
