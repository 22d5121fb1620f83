// Plain system calls on sockets. None of them waits; results are
// kernel-shaped, as those of Io::Perform: a value or -errno.
#ifndef WEFT_NET_INTERNAL_SOCKET_H_
#define WEFT_NET_INTERNAL_SOCKET_H_

#include <cstdint>

#include "weft/net/address.h"

namespace weft::net::internal {

int64_t SetOption(int fd, int level, int option, int value);
int64_t GetOption(int fd, int level, int option, int& value);

int64_t LocalAddress(int fd, SocketAddress& address);
// -EAFNOSUPPORT if the peer has an address that is neither IPv4 nor IPv6.
int64_t PeerAddress(int fd, SocketAddress& address);

}  // namespace weft::net::internal

#endif  // WEFT_NET_INTERNAL_SOCKET_H_
