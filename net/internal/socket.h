// The calls of runtime/internal/sockets.h in the types of net/; results are
// the same, a value or -errno.
#ifndef WEFT_NET_INTERNAL_SOCKET_H_
#define WEFT_NET_INTERNAL_SOCKET_H_

#include <cstdint>

#include "absl/status/status.h"
#include "weft/net/address.h"

namespace weft::net::internal {

// A new TCP socket, close-on-exec; `flags` is SOCK_NONBLOCK or 0.
int64_t OpenTcp(int family, int flags);

int64_t Bind(int fd, const SocketAddress& address);

int64_t SetOption(int fd, int level, int option, int value);
int64_t GetOption(int fd, int level, int option, int& value);

int64_t LocalAddress(int fd, SocketAddress& address);
// -EAFNOSUPPORT if the peer has an address that is neither IPv4 nor IPv6.
int64_t PeerAddress(int fd, SocketAddress& address);

// The status for a result of `call` at `address`: "accept 127.0.0.1:80: ...".
absl::Status CallStatus(const char* call, const SocketAddress& address,
                        int64_t result);

}  // namespace weft::net::internal

#endif  // WEFT_NET_INTERNAL_SOCKET_H_
