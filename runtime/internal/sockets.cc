#include "weft/runtime/internal/sockets.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace weft::internal {
namespace {

// The value of a system call, or -errno.
int64_t Result(int value) { return value >= 0 ? value : -errno; }

class Kernel final : public Sockets {
 public:
  int64_t Open(const SocketKind& kind) override {
    return Result(socket(kind.family, kind.type, kind.protocol));
  }
  int64_t Bind(int fd, const sockaddr* address, socklen_t size) override {
    return Result(bind(fd, address, size));
  }
  int64_t Listen(int fd, int backlog) override {
    return Result(listen(fd, backlog));
  }
  int64_t Shutdown(int fd, int how) override {
    return Result(shutdown(fd, how));
  }
  int64_t SetOption(int fd, const SocketOption& option) override {
    return Result(
        setsockopt(fd, option.level, option.name, option.value, option.size));
  }
  int64_t GetOption(int fd, SocketOptionRoom& option) override {
    return Result(
        getsockopt(fd, option.level, option.name, option.value, &option.size));
  }
  int64_t LocalAddress(int fd, sockaddr* address, socklen_t* size) override {
    return Result(getsockname(fd, address, size));
  }
  int64_t PeerAddress(int fd, sockaddr* address, socklen_t* size) override {
    return Result(getpeername(fd, address, size));
  }
  int64_t Control(int fd, int command, int argument) override {
    return Result(fcntl(fd, command, argument));
  }
  // Linux frees the number even where close reports EINTR: there is nothing to
  // retry.
  int64_t Close(int fd) override { return Result(close(fd)); }
};

constinit Kernel kernel;

}  // namespace

Sockets& KernelSockets() { return kernel; }

}  // namespace weft::internal
