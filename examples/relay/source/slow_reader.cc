#include "weft/examples/relay/source/slow_reader.h"

#include <array>
#include <chrono>
#include <cstddef>

#include "absl/status/statusor.h"
#include "weft/examples/relay/frame.h"

namespace relay {
namespace {

constexpr size_t kReceiveBuffer = 4096;
constexpr weft::Duration kPause = std::chrono::milliseconds(50);
constexpr std::chrono::seconds kProbe(1);

}  // namespace

absl::Status SlowReader::AwaitWelcome(weft::Io& io) {
  absl::Status status = stream_.SetReceiveBuffer(kReceiveBuffer);
  // A buffer this small drops what was on its way, and then also a reset that
  // comes behind it; a probe makes the relay's side say it again.
  status.Update(stream_.SetKeepAlive({.idle = kProbe, .interval = kProbe}));
  if (!status.ok()) return status;
  std::array<char, kHeaderSize + kMinBodySize> welcome;
  return stream_.ReadExactly(io, welcome);
}

void SlowReader::Run(weft::Io& io) {
  std::array<char, 512> buffer;
  for (;;) {
    const absl::StatusOr<size_t> count = stream_.Read(io, buffer);
    was_cut_ = absl::IsUnavailable(count.status());
    if (!count.ok() || *count == 0) return;
    if (slow_ && !weft::Sleep(io, kPause).ok()) return;
  }
}

}  // namespace relay
