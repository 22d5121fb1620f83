// SocketAddress: an IPv4 or IPv6 address with a port.
//
//   absl::StatusOr<net::SocketAddress> address =
//       net::SocketAddress::Parse("[::1]:8080");
//   address->ToString();  // "[::1]:8080"
//
// **Threads.** A plain value.
#ifndef WEFT_NET_ADDRESS_H_
#define WEFT_NET_ADDRESS_H_

#include <netinet/in.h>
#include <sys/socket.h>

#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"

namespace weft::net {

class SocketAddress {
 public:
  // 0.0.0.0:0
  SocketAddress() : SocketAddress(AF_INET) {}

  // Reads "127.0.0.1:80", "[::1]:80" or "[fe80::1%eth0]:80"; the zone is the
  // name or the number of an interface of this machine. Names of hosts are
  // not resolved. INVALID_ARGUMENT says what is wrong with the text.
  static absl::StatusOr<SocketAddress> Parse(std::string_view text);

  // Copies what the kernel gave. INVALID_ARGUMENT if it is neither IPv4 nor
  // IPv6 or too short. The flow label is dropped.
  static absl::StatusOr<SocketAddress> FromSockaddr(const sockaddr* address,
                                                    socklen_t size);

  // 127.0.0.1 and ::1
  static SocketAddress Loopback(uint16_t port);
  static SocketAddress LoopbackV6(uint16_t port);

  // What Parse reads, IPv6 in the form of RFC 5952. A zone is shown by name
  // if the interface still has one.
  std::string ToString() const;

  // AF_INET or AF_INET6.
  int family() const { return storage_.v4.sin_family; }
  uint16_t port() const;
  // The same address with another port.
  SocketAddress WithPort(uint16_t port) const;

  // 127.0.0.0/8, ::1, and the former written as IPv6.
  bool IsLoopback() const;

  // For system calls.
  const sockaddr* data() const { return &storage_.any; }
  socklen_t size() const;

  // IPv4 comes before IPv6; then address, port and zone decide.
  friend std::strong_ordering operator<=>(const SocketAddress& a,
                                          const SocketAddress& b);
  friend bool operator==(const SocketAddress& a, const SocketAddress& b) {
    return (a <=> b) == 0;
  }

  template <class H>
  friend H AbslHashValue(H hash, const SocketAddress& address) {
    const std::span<const uint8_t> bytes = address.bytes();
    return H::combine(
        H::combine_contiguous(std::move(hash), bytes.data(), bytes.size()),
        bytes.size(), address.port(), address.zone());
  }

 private:
  explicit SocketAddress(int family);

  // The address alone: 4 or 16 bytes.
  std::span<const uint8_t> bytes() const;
  uint32_t zone() const;

  // The kernel's layout, as small as it can be: streams keep one of these.
  // The largest member comes first, so that {} clears all of it.
  union Storage {
    sockaddr_in6 v6;
    sockaddr_in v4;
    sockaddr any;
  };
  Storage storage_{};
};

}  // namespace weft::net

#endif  // WEFT_NET_ADDRESS_H_
