// Sockets: the system calls on sockets that do not wait. Those that do are
// operations (operation.h). Results are kernel-shaped, as those of
// Io::Perform: a value or -errno.
//
//   Sockets& sockets = SocketsToOpen();
//   const int64_t fd = sockets.Open({.family = AF_INET, .type = SOCK_STREAM});
//   SocketsOf(fd).Shutdown(fd, SHUT_RDWR);
//
// Behind it is the kernel, or, on the thread of a backend that simulates a
// network, that network. Descriptors tell which: the kernel's are smaller than
// kFirstSimulated, whichever thread they are used on.
#ifndef WEFT_RUNTIME_INTERNAL_SOCKETS_H_
#define WEFT_RUNTIME_INTERNAL_SOCKETS_H_

#include <sys/socket.h>

#include <cstdint>

namespace weft::internal {

// What socket(2) takes.
struct SocketKind {
  int family = AF_UNSPEC;
  int type = 0;  // SOCK_STREAM ..., with SOCK_CLOEXEC and SOCK_NONBLOCK
  int protocol = 0;
};

// The value of an option, as setsockopt(2) takes it.
struct SocketOption {
  int level = 0;
  int name = 0;
  const void* value = nullptr;
  socklen_t size = 0;
};

// Room for the value of an option; getsockopt(2) sets `size`.
struct SocketOptionRoom {
  int level = 0;
  int name = 0;
  void* value = nullptr;
  socklen_t size = 0;
};

class Sockets {
 public:
  // A new descriptor.
  virtual int64_t Open(const SocketKind& kind) = 0;
  virtual int64_t Bind(int fd, const sockaddr* address, socklen_t size) = 0;
  virtual int64_t Listen(int fd, int backlog) = 0;
  // `how` is SHUT_RD, SHUT_WR or SHUT_RDWR. Operations that wait in that
  // direction end, and later ones do not wait; SHUT_RDWR on a listening socket
  // does that to Accept.
  virtual int64_t Shutdown(int fd, int how) = 0;
  virtual int64_t SetOption(int fd, const SocketOption& option) = 0;
  virtual int64_t GetOption(int fd, SocketOptionRoom& option) = 0;
  // As getsockname(2) and getpeername(2).
  virtual int64_t LocalAddress(int fd, sockaddr* address, socklen_t* size) = 0;
  virtual int64_t PeerAddress(int fd, sockaddr* address, socklen_t* size) = 0;
  // fcntl(2) with a command that takes an int or nothing.
  virtual int64_t Control(int fd, int command, int argument) = 0;
  // The number is free afterwards, whatever the result. The kernel's closes
  // descriptors of any sort.
  virtual int64_t Close(int fd) = 0;

 protected:
  ~Sockets() = default;
};

// Descriptors from here upwards are simulated: far above what the kernel
// gives out.
inline constexpr int kFirstSimulated = 1 << 30;

// The simulated network of this thread; null where there is none.
inline thread_local Sockets* current_sockets = nullptr;

Sockets& KernelSockets();

// Where `fd` belongs.
inline Sockets& SocketsOf(int fd) {
  if (__builtin_expect(fd < kFirstSimulated, 1)) return KernelSockets();
  return current_sockets != nullptr ? *current_sockets : KernelSockets();
}

// Where new sockets are to be opened.
inline Sockets& SocketsToOpen() {
  return current_sockets != nullptr ? *current_sockets : KernelSockets();
}

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_INTERNAL_SOCKETS_H_
