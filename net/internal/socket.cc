#include "weft/net/internal/socket.h"

#include <sys/socket.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "weft/runtime/internal/sockets.h"
#include "weft/runtime/status.h"

namespace weft::net::internal {
namespace {

using weft::internal::SocketOptionRoom;
using weft::internal::Sockets;
using weft::internal::SocketsOf;
using weft::internal::SocketsToOpen;

using NameCall = int64_t (Sockets::*)(int, sockaddr*, socklen_t*);

int64_t AddressFrom(NameCall call, int fd, SocketAddress& address) {
  sockaddr_storage storage;
  socklen_t size = sizeof(storage);
  auto* const name = reinterpret_cast<sockaddr*>(&storage);
  const int64_t result = (SocketsOf(fd).*call)(fd, name, &size);
  if (result < 0) return result;
  auto parsed = SocketAddress::FromSockaddr(name, size);
  if (!parsed.ok()) return -EAFNOSUPPORT;
  address = *parsed;
  return 0;
}

}  // namespace

int64_t OpenTcp(int family, int flags) {
  return SocketsToOpen().Open(
      {.family = family, .type = SOCK_STREAM | SOCK_CLOEXEC | flags});
}

int64_t Bind(int fd, const SocketAddress& address) {
  return SocketsOf(fd).Bind(fd, address.data(), address.size());
}

int64_t SetOption(int fd, int level, int option, int value) {
  return SocketsOf(fd).SetOption(
      fd,
      {.level = level, .name = option, .value = &value, .size = sizeof(value)});
}

int64_t GetOption(int fd, int level, int option, int& value) {
  SocketOptionRoom room = {
      .level = level, .name = option, .value = &value, .size = sizeof(value)};
  return SocketsOf(fd).GetOption(fd, room);
}

int64_t LocalAddress(int fd, SocketAddress& address) {
  return AddressFrom(&Sockets::LocalAddress, fd, address);
}

int64_t PeerAddress(int fd, SocketAddress& address) {
  return AddressFrom(&Sockets::PeerAddress, fd, address);
}

absl::Status CallStatus(const char* call, const SocketAddress& address,
                        int64_t result) {
  return weft::internal::ResultStatus(
      result, absl::StrCat(call, " ", address.ToString()));
}

}  // namespace weft::net::internal
