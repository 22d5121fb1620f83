#include "weft/net/address.h"

#include <arpa/inet.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace weft::net {
namespace {

// More of a wrong text than this does not help anybody.
constexpr size_t kShownLength = 80;

absl::Status ParseError(std::string_view text, std::string_view problem) {
  const std::string_view shown = text.substr(0, kShownLength);
  return absl::InvalidArgumentError(absl::StrCat(
      "parse address \"",
      absl::CHexEscape(absl::string_view(shown.data(), shown.size())),
      text.size() > kShownLength ? "...\": " : "\": ", std::string(problem)));
}

bool IsDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isdigit(static_cast<unsigned char>(c));
  });
}

// A number in decimal digits alone: no sign, no white space.
std::optional<uint32_t> ParseDigits(std::string_view text) {
  uint32_t value = 0;
  if (!IsDigits(text) ||
      !absl::SimpleAtoi(absl::string_view(text.data(), text.size()), &value)) {
    return std::nullopt;
  }
  return value;
}

// inet_pton takes a zero-terminated string, so a text with a zero inside must
// not reach it.
template <class Address>
bool ParseBytes(int family, std::string_view text, Address& address) {
  return text.find('\0') == std::string_view::npos &&
         inet_pton(family, std::string(text).c_str(), &address) == 1;
}

// The number of an interface; nullopt if there is none.
std::optional<uint32_t> ParseZone(std::string_view zone) {
  if (IsDigits(zone)) return ParseDigits(zone);
  if (zone.find('\0') != std::string_view::npos) return std::nullopt;
  const uint32_t index = if_nametoindex(std::string(zone).c_str());
  if (index == 0) return std::nullopt;
  return index;
}

std::string ZoneName(uint32_t zone) {
  std::array<char, IF_NAMESIZE> name{};
  if (if_indextoname(zone, name.data()) == nullptr) return absl::StrCat(zone);
  return name.data();
}

// A host and a port that were written as "host:port" or "[host]:port".
struct Parts {
  std::string_view host;
  std::string_view port;
  bool bracketed = false;
};

absl::StatusOr<Parts> Split(std::string_view text) {
  if (text.empty()) return ParseError(text, "empty");
  const bool bracketed = text.front() == '[';
  size_t host_end = text.rfind(':');
  if (bracketed) {
    host_end = text.find(']');
    if (host_end == std::string_view::npos) {
      return ParseError(text, "no closing bracket");
    }
    ++host_end;
  } else if (text.find(':') != host_end) {
    return ParseError(text,
                      "an IPv6 address is written in brackets, as in [::1]:80");
  }
  if (host_end >= text.size()) {
    return ParseError(text, "no port");
  }
  if (text[host_end] != ':') {
    return ParseError(text, "something else than a port after the bracket");
  }
  Parts parts{.host = text.substr(0, host_end),
              .port = text.substr(host_end + 1),
              .bracketed = bracketed};
  if (bracketed) parts.host = parts.host.substr(1, host_end - 2);
  return parts;
}

}  // namespace

SocketAddress::SocketAddress(int family) {
  storage_.v6.sin6_family = static_cast<sa_family_t>(family);
}

absl::StatusOr<SocketAddress> SocketAddress::Parse(std::string_view text) {
  const absl::StatusOr<Parts> parts = Split(text);
  if (!parts.ok()) return parts.status();
  if (parts->port.empty()) return ParseError(text, "no port");
  if (!IsDigits(parts->port)) {
    return ParseError(text, "the port is not a number");
  }
  const std::optional<uint32_t> port = ParseDigits(parts->port);
  if (!port.has_value() || *port > UINT16_MAX) {
    return ParseError(text, "the port is greater than 65535");
  }

  if (!parts->bracketed) {
    SocketAddress address(AF_INET);
    if (!ParseBytes(AF_INET, parts->host, address.storage_.v4.sin_addr)) {
      return ParseError(text, "not an IPv4 address");
    }
    return address.WithPort(static_cast<uint16_t>(*port));
  }

  SocketAddress address(AF_INET6);
  const size_t percent = parts->host.find('%');
  if (!ParseBytes(AF_INET6, parts->host.substr(0, percent),
                  address.storage_.v6.sin6_addr)) {
    return ParseError(text, "not an IPv6 address");
  }
  if (percent != std::string_view::npos) {
    const std::optional<uint32_t> zone =
        ParseZone(parts->host.substr(percent + 1));
    if (!zone.has_value()) {
      return ParseError(text, "the zone is no interface of this machine");
    }
    address.storage_.v6.sin6_scope_id = *zone;
  }
  return address.WithPort(static_cast<uint16_t>(*port));
}

absl::StatusOr<SocketAddress> SocketAddress::FromSockaddr(
    const sockaddr* address, socklen_t size) {
  if (size < sizeof(address->sa_family)) {
    return absl::InvalidArgumentError("socket address: empty");
  }
  SocketAddress result(address->sa_family);
  if (result.family() != AF_INET && result.family() != AF_INET6) {
    return absl::InvalidArgumentError(
        absl::StrCat("socket address: family ", result.family(),
                     " is neither IPv4 nor IPv6"));
  }
  if (size < result.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "socket address: ", size, " bytes instead of ", result.size()));
  }
  // Without the padding and the flow label, so that equal addresses compare
  // equal.
  if (result.family() == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, address, sizeof(v4));
    result.storage_.v4.sin_addr = v4.sin_addr;
    result.storage_.v4.sin_port = v4.sin_port;
  } else {
    std::memcpy(&result.storage_.v6, address, sizeof(result.storage_.v6));
    result.storage_.v6.sin6_flowinfo = 0;
  }
  return result;
}

SocketAddress SocketAddress::Loopback(uint16_t port) {
  SocketAddress address(AF_INET);
  address.storage_.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address.WithPort(port);
}

SocketAddress SocketAddress::LoopbackV6(uint16_t port) {
  SocketAddress address(AF_INET6);
  address.storage_.v6.sin6_addr = in6addr_loopback;
  return address.WithPort(port);
}

std::string SocketAddress::ToString() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(family(), bytes().data(), text.data(), text.size());
  if (family() == AF_INET) return absl::StrCat(text.data(), ":", port());
  if (zone() == 0) return absl::StrCat("[", text.data(), "]:", port());
  return absl::StrCat("[", text.data(), "%", ZoneName(zone()), "]:", port());
}

uint16_t SocketAddress::port() const {
  return ntohs(family() == AF_INET ? storage_.v4.sin_port
                                   : storage_.v6.sin6_port);
}

SocketAddress SocketAddress::WithPort(uint16_t port) const {
  SocketAddress result = *this;
  (family() == AF_INET ? result.storage_.v4.sin_port
                       : result.storage_.v6.sin6_port) = htons(port);
  return result;
}

bool SocketAddress::IsLoopback() const {
  constexpr uint8_t kLoopbackNet = 127;
  if (family() == AF_INET) return bytes()[0] == kLoopbackNet;
  const in6_addr& address = storage_.v6.sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&address)) return bytes()[12] == kLoopbackNet;
  return IN6_IS_ADDR_LOOPBACK(&address);
}

socklen_t SocketAddress::size() const {
  return family() == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
}

std::strong_ordering operator<=>(const SocketAddress& a,
                                 const SocketAddress& b) {
  const std::span<const uint8_t> a_bytes = a.bytes();
  const std::span<const uint8_t> b_bytes = b.bytes();
  if (auto order = a_bytes.size() <=> b_bytes.size(); order != 0) return order;
  if (auto order =
          std::memcmp(a_bytes.data(), b_bytes.data(), a_bytes.size()) <=> 0;
      order != 0) {
    return order;
  }
  if (auto order = a.port() <=> b.port(); order != 0) return order;
  return a.zone() <=> b.zone();
}

std::span<const uint8_t> SocketAddress::bytes() const {
  if (family() == AF_INET) {
    const in_addr& address = storage_.v4.sin_addr;
    return {reinterpret_cast<const uint8_t*>(&address), sizeof(address)};
  }
  const in6_addr& address = storage_.v6.sin6_addr;
  return {address.s6_addr, sizeof(address.s6_addr)};
}

uint32_t SocketAddress::zone() const {
  return family() == AF_INET ? 0 : storage_.v6.sin6_scope_id;
}

}  // namespace weft::net
