#include "weft/examples/relay/frame_reader.h"

#include <cstring>
#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "weft/runtime/scope.h"

namespace relay {

absl::StatusOr<std::optional<Message>> FrameReader::Next(weft::Io& io) {
  for (;;) {
    Message message;
    const absl::StatusOr<size_t> used = ParseFrame(
        std::string_view(buffer_.data() + begin_, end_ - begin_), message);
    if (!used.ok()) return used.status();
    if (*used > 0) {
      begin_ += *used;
      frame_deadline_.reset();
      return message;
    }
    const absl::StatusOr<size_t> received = Fill(io);
    if (!received.ok()) return received.status();
    if (*received > 0) continue;
    if (begin_ == end_) return std::nullopt;
    return absl::OutOfRangeError(absl::StrCat(
        "read ", stream_.peer_address().ToString(), ": end of stream after ",
        end_ - begin_, " bytes of a frame"));
  }
}

absl::StatusOr<size_t> FrameReader::Fill(weft::Io& io) {
  const size_t kept = end_ - begin_;
  // A frame that has begun always finds room for its end.
  if (begin_ > 0) std::memmove(buffer_.data(), buffer_.data() + begin_, kept);
  begin_ = 0;
  end_ = kept;

  const std::span<char> room = std::span(buffer_).subspan(end_);
  if (kept > 0 && !frame_deadline_.has_value()) {
    frame_deadline_ = weft::After(io.Now(), limits_.frame);
  }
  const weft::Deadline deadline(
      io, kept > 0 ? *frame_deadline_ : weft::After(io.Now(), limits_.silence));
  const absl::StatusOr<size_t> received = stream_.Read(io, room);
  if (received.ok()) end_ += *received;
  if (received.ok() || !deadline.fired()) {
    return received;
  }
  return absl::DeadlineExceededError(absl::StrCat(
      "read ", stream_.peer_address().ToString(), ": ",
      kept > 0 ? "a frame that does not end in time" : "silent for too long"));
}

}  // namespace relay
