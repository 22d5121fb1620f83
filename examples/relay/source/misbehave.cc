#include "weft/examples/relay/source/misbehave.h"

#include <string>

namespace relay {
namespace {

std::string FrameOf(const Message& message) {
  std::string frame;
  AppendFrame(message, frame);
  return frame;
}

}  // namespace

absl::Status Misbehave(weft::Io& io, Misdeed misdeed, Message next,
                       weft::net::TcpStream& stream) {
  constexpr size_t kPart = 20;  // bytes; every frame has more
  switch (misdeed) {
    case Misdeed::kReset: {
      absl::Status status = stream.WriteAll(io, FrameOf(next).substr(0, kPart));
      status.Update(stream.SetResetOnClose(true));
      stream.Close();
      return status;
    }
    case Misdeed::kGarbage:
      return stream.WriteAll(io, std::string(100, '\xff'));
    case Misdeed::kStall:
      return stream.WriteAll(io, FrameOf(next).substr(0, kPart));
    case Misdeed::kClose:
      return stream.Shutdown(weft::net::ShutdownMode::kWrite);
    case Misdeed::kDamage: {
      std::string frame = FrameOf(next);
      frame.back() = static_cast<char>(frame.back() ^ 1);
      return stream.WriteAll(io, frame);
    }
    case Misdeed::kSkip:
      ++next.sequence;
      return stream.WriteAll(io, FrameOf(next));
  }
  return absl::InternalError("no such misdeed");
}

}  // namespace relay
