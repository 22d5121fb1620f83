// Descriptors of the kernel that tests perform operations on.
#ifndef WEFT_TESTS_CONFORMANCE_DESCRIPTORS_H_
#define WEFT_TESTS_CONFORMANCE_DESCRIPTORS_H_

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "weft/runtime/operation.h"

namespace weft::testing {

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~Descriptor() { Close(); }

  int fd() const { return fd_; }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

struct Pipe {
  Pipe() : Pipe(Open()) {}

  Descriptor read;
  Descriptor write;

 private:
  struct Ends {
    int fds[2];
  };
  explicit Pipe(Ends ends) : read(ends.fds[0]), write(ends.fds[1]) {}
  static Ends Open() {
    Ends ends;
    EXPECT_EQ(pipe2(ends.fds, O_CLOEXEC), 0);
    return ends;
  }
};

// Two connected stream sockets.
struct SocketPair {
  SocketPair() : SocketPair(Open()) {}

  Descriptor first;
  Descriptor second;

 private:
  struct Ends {
    int fds[2];
  };
  explicit SocketPair(Ends ends) : first(ends.fds[0]), second(ends.fds[1]) {}
  static Ends Open() {
    Ends ends;
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.fds), 0);
    return ends;
  }
};

inline Descriptor TcpSocket() {
  return Descriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

// A listening socket on a free port of the loopback address.
class Listener {
 public:
  explicit Listener(int backlog = 16) : socket_(TcpSocket()) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(socket_.fd(), address(), sizeof(address_)), 0);
    EXPECT_EQ(listen(socket_.fd(), backlog), 0);
    socklen_t size = sizeof(address_);
    EXPECT_EQ(getsockname(socket_.fd(), reinterpret_cast<sockaddr*>(&address_),
                          &size),
              0);
  }

  int fd() const { return socket_.fd(); }
  void Close() { socket_.Close(); }

  op::Connect ConnectFrom(const Descriptor& client) const {
    return {.fd = client.fd(),
            .address = address(),
            .address_length = sizeof(address_)};
  }

 private:
  const sockaddr* address() const {
    return reinterpret_cast<const sockaddr*>(&address_);
  }

  Descriptor socket_;
  sockaddr_in address_ = {};
};

}  // namespace weft::testing

#endif  // WEFT_TESTS_CONFORMANCE_DESCRIPTORS_H_
