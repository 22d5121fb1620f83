// Operations: requests to the kernel as values.
//
//   int64_t n = io.Perform(op::Recv{.fd = fd, .data = buffer, .size = 4096});
//
// One closed variant, so that backends, fault injection and tests share one
// choke point. Adding an operation is one struct here and one case in each
// backend. Results are kernel-shaped: a count or a descriptor, or -errno.
// Besides the errors of the system call of the same name there are two:
//   -ECANCELED  the scope was cancelled before the operation took effect
//   -ETIME      the deadline of the scope passed before it took effect
// EINTR and EAGAIN are never returned.
//
// **Ownership.** Memory that an operation names must stay valid until Perform
// returns; the kernel does not touch it afterwards. Descriptors stay the
// caller's.
#ifndef WEFT_RUNTIME_OPERATION_H_
#define WEFT_RUNTIME_OPERATION_H_

#include <sys/socket.h>
#include <sys/types.h>

#include <cstddef>
#include <variant>

namespace weft {
namespace op {

// Waits for a connection on the listening socket `fd`. The result is a new
// descriptor, close-on-exec, in blocking mode. `address` and `address_length`
// may be null; otherwise they are filled as accept4(2) does. The listening
// socket may be left in non-blocking mode.
struct Accept {
  int fd = -1;
  sockaddr* address = nullptr;
  socklen_t* address_length = nullptr;
};

// Connects the socket `fd`; the result is 0 once the peer has answered.
struct Connect {
  int fd = -1;
  const sockaddr* address = nullptr;
  socklen_t address_length = 0;
};

// Receives up to `size` bytes; 0 is the end of the stream.
struct Recv {
  int fd = -1;
  void* data = nullptr;
  size_t size = 0;
  int flags = 0;  // MSG_PEEK, MSG_TRUNC ...
  // A hint that there is probably nothing to receive yet: saves an attempt
  // where that is so, and costs a wait that ends at once where it is not.
  bool probably_empty = false;
};

// Sends up to `size` bytes; fewer is not an error. Never raises SIGPIPE.
struct Send {
  int fd = -1;
  const void* data = nullptr;
  size_t size = 0;
  int flags = 0;  // MSG_MORE ...
};

// The scattered form of Recv.
struct RecvMessage {
  int fd = -1;
  msghdr* message = nullptr;
  int flags = 0;
};

// The gathered form of Send.
struct SendMessage {
  int fd = -1;
  const msghdr* message = nullptr;
  int flags = 0;
};

// Offset that means "where the descriptor stands": for pipes, and for files
// opened with O_APPEND.
inline constexpr off_t kCurrentPosition = -1;

// Reads up to `size` bytes of a file or a pipe; 0 is the end.
struct ReadAt {
  int fd = -1;
  void* data = nullptr;
  size_t size = 0;
  off_t offset = kCurrentPosition;
};

// Writes up to `size` bytes to a file or a pipe. Never raises SIGPIPE.
struct WriteAt {
  int fd = -1;
  const void* data = nullptr;
  size_t size = 0;
  off_t offset = kCurrentPosition;
};

// Makes what was written to `fd` durable, as fsync(2).
struct Sync {
  int fd = -1;
};

// Waits until one of `events` (POLLIN, POLLOUT ...) holds on `fd`; the result
// is the set of events that hold, as in poll(2).
struct Poll {
  int fd = -1;
  short events = 0;
};

}  // namespace op

using Operation =
    std::variant<op::Accept, op::Connect, op::Recv, op::Send, op::RecvMessage,
                 op::SendMessage, op::ReadAt, op::WriteAt, op::Sync, op::Poll>;

// The name of the operation, for messages: "accept", "recv" ...
const char* Name(const Operation& operation);

// The descriptor that it is about.
inline int DescriptorOf(const Operation& operation) {
  return std::visit([](const auto& one) { return one.fd; }, operation);
}

namespace internal {

// Makes std::visit take a list of lambdas.
template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

}  // namespace internal
}  // namespace weft

#endif  // WEFT_RUNTIME_OPERATION_H_
