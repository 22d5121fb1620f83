// Addresses of the simulated network. IPv4 is written as IPv6, as in
// ::ffff:10.0.0.1 (RFC 4291, 2.5.5.2), so that there is one kind of them.
#ifndef WEFT_BACKENDS_SIM_INTERNAL_NETWORK_ADDRESS_H_
#define WEFT_BACKENDS_SIM_INTERNAL_NETWORK_ADDRESS_H_

#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <string>

namespace weft::sim {

class IpAddress {
 public:
  // ::
  IpAddress() = default;
  explicit IpAddress(const std::array<uint8_t, 16>& bytes) : bytes_(bytes) {}
  static IpAddress V4(uint8_t a, uint8_t b, uint8_t c, uint8_t d);

  const std::array<uint8_t, 16>& bytes() const { return bytes_; }
  bool IsV4() const;
  // 0.0.0.0 and ::
  bool IsAny() const;
  bool IsLoopback() const;
  bool IsMulticast() const;

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  std::array<uint8_t, 16> bytes_{};
};

struct NetworkAddress {
  IpAddress ip;
  uint16_t port = 0;

  friend auto operator<=>(const NetworkAddress&,
                          const NetworkAddress&) = default;

  // 0, -EINVAL if `size` is too small, -EAFNOSUPPORT if it is not of `family`.
  static int64_t Read(int family, const sockaddr* address, socklen_t size,
                      NetworkAddress& result);
  // As the kernel does: what does not fit is cut off, `size` is what it needs.
  void Write(int family, sockaddr* address, socklen_t* size) const;
  std::string ToString() const;
};

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_INTERNAL_NETWORK_ADDRESS_H_
