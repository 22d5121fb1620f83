// What the TCP tests share: connected pairs and data that checks itself.
#ifndef WEFT_TESTS_CONFORMANCE_TCP_SUPPORT_H_
#define WEFT_TESTS_CONFORMANCE_TCP_SUPPORT_H_

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "weft/net/tcp_listener.h"
#include "weft/net/tcp_stream.h"
#include "weft/runtime/internal/sockets.h"
#include "weft/runtime/io.h"

namespace weft::testing {

inline net::TcpListener Listen(Io& io, const net::ListenOptions& options = {}) {
  return net::TcpListener::Bind(io, net::SocketAddress::Loopback(0), options)
      .value();
}

// A socket as net/ opens it, in the network of the backend.
inline net::Descriptor OpenTcp() {
  const int64_t fd = internal::SocketsToOpen().Open(
      {.family = AF_INET, .type = SOCK_STREAM | SOCK_CLOEXEC});
  EXPECT_GE(fd, 0);
  return net::Descriptor(static_cast<int>(fd));
}

struct Pair {
  net::TcpStream client;
  net::TcpStream server;
};

// A connection with both ends in this process. The kernel completes the
// handshake before anybody accepts, so one task can do both.
inline Pair ConnectedPair(Io& io) {
  net::TcpListener listener = Listen(io);
  net::TcpStream client =
      net::TcpStream::Connect(io, listener.local_address()).value();
  return {.client = std::move(client), .server = listener.Accept(io).value()};
}

// Small buffers, so that writers have to wait. The receiver's has room for some
// of the large segments of loopback: with less, TCP waits for its timers.
inline void ShrinkBuffers(Pair& pair) {
  for (net::TcpStream* stream : {&pair.client, &pair.server}) {
    EXPECT_TRUE(stream->SetSendBuffer(size_t{8} << 10).ok());
    EXPECT_TRUE(stream->SetReceiveBuffer(size_t{128} << 10).ok());
  }
}

// The byte at one position of an endless text without a period that a lost or
// repeated piece could hide in.
inline char PatternAt(uint64_t position) {
  return static_cast<char>((position * 0x9e3779b97f4a7c15) >> 56);
}

inline std::string Pattern(uint64_t position, size_t size) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = PatternAt(position++);
  return bytes;
}

// Whether `bytes` are the pattern from `position` on.
inline bool IsPattern(uint64_t position, std::span<const char> bytes) {
  for (const char byte : bytes) {
    if (byte != PatternAt(position++)) return false;
  }
  return true;
}

// Sends back what comes, until the peer ends its stream; then ends its own.
inline absl::Status EchoUntilEnd(Io& io, net::TcpStream& stream) {
  char buffer[16384];
  for (;;) {
    const absl::StatusOr<size_t> n = stream.Read(io, buffer);
    if (!n.ok()) return n.status();
    if (*n == 0) return stream.Shutdown(net::ShutdownMode::kWrite);
    absl::Status sent = stream.WriteAll(io, std::span(buffer).first(*n));
    if (!sent.ok()) return sent;
  }
}

// One message there and back.
inline absl::Status RoundTrip(Io& io, net::TcpStream& stream,
                              const std::string& message) {
  if (absl::Status sent = stream.WriteAll(io, message); !sent.ok()) return sent;
  std::string answer(message.size(), '\0');
  absl::Status received = stream.ReadExactly(io, answer);
  if (received.ok() && answer != message) {
    return absl::DataLossError("the answer differs from the message");
  }
  return received;
}

}  // namespace weft::testing

#endif  // WEFT_TESTS_CONFORMANCE_TCP_SUPPORT_H_
