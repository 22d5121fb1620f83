// TcpStream: a TCP connection.
//
//   absl::Status Ask(weft::Io& io, const net::SocketAddress& server) {
//     auto stream = net::TcpStream::Connect(io, server);
//     if (!stream.ok()) return stream.status();
//     if (auto s = stream->WriteAll(io, "hello\n"); !s.ok()) return s;
//     char answer[4096];
//     absl::StatusOr<size_t> n = stream->Read(io, answer);
//     return n.status();
//   }
//
// A stream owns its descriptor and belongs to no backend: a stream that was
// connected on one may be used on another, also while a task of the first
// still uses the other direction.
//
// **Threads.** One reader and one writer at a time, of any tasks; two readers
// or two writers would tear each other's messages, so a second one ends the
// program with a message, in every build. Everything else may be called by any
// task at any time, Close and Shutdown included. Moving, releasing and
// destroying a stream that is in use is misuse, which is checked.
//
// **Cancelling.** Every call that takes an Io gives up with CANCELLED or
// DEADLINE_EXCEEDED if it has not moved a byte yet. Nothing is lost by that:
// bytes that were not returned by one read are returned by the next. Calls
// that move all or nothing tell how far they came.
//
// **Errors.** Unless a call says otherwise, reading and writing give
//   UNAVAILABLE when the connection broke: ECONNRESET, ETIMEDOUT,
//     EHOSTUNREACH, ENETUNREACH, ENETDOWN; for writing also EPIPE, when it had
//     broken before;
//   FAILED_PRECONDITION with ESHUTDOWN when this side has closed the stream or
//     shut down the direction, before the call or while it waited; with EBADF
//     on a stream that was released or moved from;
//   RESOURCE_EXHAUSTED when the kernel has no memory: ENOMEM, ENOBUFS.
// SIGPIPE is never raised. docs/errors.md has them all in one table.
#ifndef WEFT_NET_TCP_STREAM_H_
#define WEFT_NET_TCP_STREAM_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "weft/net/address.h"
#include "weft/net/bytes.h"
#include "weft/net/descriptor.h"
#include "weft/net/internal/shared_socket.h"
#include "weft/runtime/io.h"

namespace weft::net {

struct ConnectOptions {
  // The address to connect from; port 0 is any free one. Default: the
  // kernel's choice.
  std::optional<SocketAddress> local_address;
};

// Probes of an idle connection. Zero leaves the system's value.
struct KeepAliveOptions {
  bool enabled = true;
  std::chrono::seconds idle{0};      // silence before the first probe
  std::chrono::seconds interval{0};  // between probes
  int count = 0;                     // unanswered probes that end it
};

// Which directions of a stream end.
enum class ShutdownMode { kRead, kWrite, kBoth };

class TcpStream {
 public:
  // Connects to `peer`; blocks until it has answered.
  // Errors: UNAVAILABLE if the peer refuses, cannot be reached or does not
  // answer (ECONNREFUSED, ECONNRESET, ENETUNREACH, ENETDOWN, EHOSTUNREACH,
  // ETIMEDOUT), if no port is free, or the local address is not one of this
  // machine (EADDRNOTAVAIL); ALREADY_EXISTS if the local address is taken
  // (EADDRINUSE); RESOURCE_EXHAUSTED at a limit on descriptors or memory
  // (EMFILE, ENFILE, ENOBUFS, ENOMEM); PERMISSION_DENIED if a firewall refuses
  // (EPERM, EACCES); INVALID_ARGUMENT if the two addresses do not go together
  // or this machine lacks IPv6 (EINVAL, EAFNOSUPPORT). A peer whose backlog is
  // full does not answer; the kernel gives up after about two minutes.
  static absl::StatusOr<TcpStream> Connect(Io& io, const SocketAddress& peer,
                                           const ConnectOptions& options = {});

  // Takes over a connected TCP socket, for instance one that was inherited,
  // and makes it close-on-exec and blocking, which streams are. On an error
  // the descriptor is closed: FAILED_PRECONDITION if it is not open (EBADF) or
  // not connected (ENOTCONN), INVALID_ARGUMENT if it is no socket (ENOTSOCK)
  // or one of another protocol.
  static absl::StatusOr<TcpStream> Adopt(Descriptor descriptor);

  TcpStream(TcpStream&&) noexcept = default;
  TcpStream& operator=(TcpStream&&) noexcept = default;
  ~TcpStream() = default;

  // Blocks until there are bytes and returns how many, at most room.size(); 0
  // is the end of the stream. Does nothing and returns 0 if there is no room.
  absl::StatusOr<size_t> Read(Io& io, MutableBytes room);

  // Blocks until there is space in the send buffer; returns how many bytes
  // were taken, which may be fewer than there are. Does nothing and returns 0
  // if there are none.
  absl::StatusOr<size_t> Write(Io& io, ConstBytes bytes);

  // Blocks until `room` is full. OUT_OF_RANGE if the stream ends before.
  // `received`, if given, is set to the number of bytes that are in `room`,
  // on errors too.
  absl::Status ReadExactly(Io& io, MutableBytes room,
                           size_t* received = nullptr);

  // Blocks until all bytes are in the send buffer. `written`, if given, is
  // set to the number of bytes that are, on errors too.
  absl::Status WriteAll(Io& io, ConstBytes bytes, size_t* written = nullptr);

  // Read into, and Write from, several places in their order. One call uses
  // at most the first kMaxPieces that are not empty.
  static constexpr size_t kMaxPieces = 64;
  absl::StatusOr<size_t> ReadVector(Io& io,
                                    std::span<const MutableBytes> pieces);
  absl::StatusOr<size_t> WriteVector(Io& io,
                                     std::span<const ConstBytes> pieces);

  // WriteAll from any number of pieces.
  absl::Status WriteAllVector(Io& io, std::span<const ConstBytes> pieces,
                              size_t* written = nullptr);

  // The functions below do not block. On a stream that was closed they give
  // FAILED_PRECONDITION with ESHUTDOWN, on one that was released or moved from
  // with EBADF.

  // Ends directions of the stream: after kWrite the peer reads the end of the
  // stream, after kRead bytes that come are dropped or refused. Calls of this
  // side that wait in that direction return ESHUTDOWN, and so do later ones.
  // FAILED_PRECONDITION if the connection is gone (ENOTCONN) or closed
  // (ESHUTDOWN).
  absl::Status Shutdown(ShutdownMode mode);

  // Whether small writes go out at once instead of waiting to be joined.
  absl::Status SetNoDelay(bool on);
  // INVALID_ARGUMENT (EINVAL) if a value is out of the system's range.
  absl::Status SetKeepAlive(const KeepAliveOptions& options);
  // In bytes; the kernel doubles them and keeps them within its limits.
  absl::Status SetSendBuffer(size_t size);
  absl::Status SetReceiveBuffer(size_t size);
  // Whether closing drops what is unsent and resets the connection.
  absl::Status SetResetOnClose(bool on);

  // Where this end of the connection is.
  absl::StatusOr<SocketAddress> local_address() const;
  // Where the other end is, or was.
  const SocketAddress& peer_address() const { return peer_; }

  // Stays the stream's own; -1 once closed.
  int fd() const { return socket_.fd(); }
  // Gives the descriptor away; misuse while the stream is in use.
  Descriptor Release() { return socket_.Release(); }
  // What is in the send buffer is still sent. Calls that wait return
  // ESHUTDOWN, and so do later ones. The number of the descriptor is free once
  // the last of them has returned. May be called more than once.
  void Close() { socket_.Close(); }

 private:
  friend class TcpListener;

  TcpStream(Descriptor descriptor, const SocketAddress& peer)
      : socket_(std::move(descriptor)), peer_(peer) {}

  // One receive into a room that is not empty; as Io::Perform.
  int64_t Receive(Io& io, const internal::SharedSocket::Turn& turn,
                  MutableBytes room);
  absl::Status Error(const char* call, int64_t result) const;
  absl::Status SetOption(int level, int option, int value, const char* name);
  absl::Status SetBuffer(int option, size_t size, const char* name);

  internal::SharedSocket socket_;
  SocketAddress peer_;
  // The last receive took all there was. Only the one reader's.
  bool drained_ = false;
};

}  // namespace weft::net

#endif  // WEFT_NET_TCP_STREAM_H_
