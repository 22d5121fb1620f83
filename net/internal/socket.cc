#include "weft/net/internal/socket.h"

#include <sys/socket.h>

#include <cerrno>

namespace weft::net::internal {
namespace {

using NameCall = int (*)(int, sockaddr*, socklen_t*);

int64_t AddressFrom(NameCall call, int fd, SocketAddress& address) {
  sockaddr_storage storage;
  socklen_t size = sizeof(storage);
  auto* const name = reinterpret_cast<sockaddr*>(&storage);
  if (call(fd, name, &size) != 0) return -errno;
  auto parsed = SocketAddress::FromSockaddr(name, size);
  if (!parsed.ok()) return -EAFNOSUPPORT;
  address = *parsed;
  return 0;
}

}  // namespace

int64_t SetOption(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof(value)) == 0 ? 0 : -errno;
}

int64_t GetOption(int fd, int level, int option, int& value) {
  socklen_t size = sizeof(value);
  return getsockopt(fd, level, option, &value, &size) == 0 ? 0 : -errno;
}

int64_t LocalAddress(int fd, SocketAddress& address) {
  return AddressFrom(getsockname, fd, address);
}

int64_t PeerAddress(int fd, SocketAddress& address) {
  return AddressFrom(getpeername, fd, address);
}

}  // namespace weft::net::internal
