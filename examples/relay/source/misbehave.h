// Misbehave: what upstreams do that they should not.
#ifndef WEFT_EXAMPLES_RELAY_SOURCE_MISBEHAVE_H_
#define WEFT_EXAMPLES_RELAY_SOURCE_MISBEHAVE_H_

#include <array>
#include <cstdint>

#include "absl/status/status.h"
#include "weft/examples/relay/frame.h"
#include "weft/net/tcp_stream.h"
#include "weft/runtime/io.h"

namespace relay {

enum class Misdeed : uint8_t {
  kReset,    // breaks the connection within a frame
  kGarbage,  // sends what is no frame
  kStall,    // begins a frame and does not go on
  kClose,    // ends the stream without an end message
  kDamage,   // sends a frame with a wrong bit
  kSkip,     // leaves out an event
};
inline constexpr std::array kMisdeedNames = {"reset", "garbage", "stall",
                                             "close", "damage",  "skip"};

// Does it where the event `next` would be due. After that the relay is to give
// up the connection.
absl::Status Misbehave(weft::Io& io, Misdeed misdeed, Message next,
                       weft::net::TcpStream& stream);

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_SOURCE_MISBEHAVE_H_
