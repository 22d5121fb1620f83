#include "weft/backends/sim/internal/network_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace weft::sim {
namespace {

constexpr std::array<uint8_t, 12> kV4Prefix = {0, 0, 0, 0, 0,    0,
                                               0, 0, 0, 0, 0xff, 0xff};
constexpr size_t kV4Begin = kV4Prefix.size();

}  // namespace

IpAddress IpAddress::V4(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
  IpAddress ip;
  std::copy(kV4Prefix.begin(), kV4Prefix.end(), ip.bytes_.begin());
  ip.bytes_[kV4Begin] = a;
  ip.bytes_[kV4Begin + 1] = b;
  ip.bytes_[kV4Begin + 2] = c;
  ip.bytes_[kV4Begin + 3] = d;
  return ip;
}

bool IpAddress::IsV4() const {
  return std::equal(kV4Prefix.begin(), kV4Prefix.end(), bytes_.begin());
}

bool IpAddress::IsAny() const {
  return *this == IpAddress() || *this == V4(0, 0, 0, 0);
}

bool IpAddress::IsLoopback() const {
  if (IsV4()) return bytes_[kV4Begin] == 127;
  IpAddress loopback;
  loopback.bytes_.back() = 1;
  return *this == loopback;
}

bool IpAddress::IsMulticast() const {
  return IsV4() ? (bytes_[kV4Begin] & 0xf0) == 0xe0 : bytes_[0] == 0xff;
}

int64_t NetworkAddress::Read(int family, const sockaddr* address,
                             socklen_t size, NetworkAddress& result) {
  if (size < sizeof(sa_family_t)) return -EINVAL;
  if (address->sa_family != family) return -EAFNOSUPPORT;
  if (family == AF_INET) {
    if (size < sizeof(sockaddr_in)) return -EINVAL;
    sockaddr_in v4;
    std::memcpy(&v4, address, sizeof(v4));
    const uint32_t ip = ntohl(v4.sin_addr.s_addr);
    result.ip = IpAddress::V4(
        static_cast<uint8_t>(ip >> 24), static_cast<uint8_t>(ip >> 16),
        static_cast<uint8_t>(ip >> 8), static_cast<uint8_t>(ip));
    result.port = ntohs(v4.sin_port);
    return 0;
  }
  if (size < sizeof(sockaddr_in6)) return -EINVAL;
  sockaddr_in6 v6;
  std::memcpy(&v6, address, sizeof(v6));
  std::array<uint8_t, 16> bytes;
  std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
  result = {.ip = IpAddress(bytes), .port = ntohs(v6.sin6_port)};
  return 0;
}

void NetworkAddress::Write(int family, sockaddr* address,
                           socklen_t* size) const {
  if (address == nullptr || size == nullptr) return;
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  const void* from = &v4;
  socklen_t needed = sizeof(v4);
  if (family == AF_INET) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, ip.bytes().data() + kV4Begin,
                sizeof(v4.sin_addr));
  } else {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&v6.sin6_addr, ip.bytes().data(), sizeof(v6.sin6_addr));
    from = &v6;
    needed = sizeof(v6);
  }
  std::memcpy(address, from, std::min(needed, *size));
  *size = needed;
}

std::string NetworkAddress::ToString() const {
  char text[INET6_ADDRSTRLEN];
  if (ip.IsV4()) {
    inet_ntop(AF_INET, ip.bytes().data() + kV4Begin, text, sizeof(text));
    return absl::StrCat(text, ":", port);
  }
  inet_ntop(AF_INET6, ip.bytes().data(), text, sizeof(text));
  return absl::StrCat("[", text, "]:", port);
}

}  // namespace weft::sim
