#include "weft/net/address.h"

#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::net {
namespace {

using ::testing::HasSubstr;

// An address that has to be right.
SocketAddress Address(std::string_view text) {
  return SocketAddress::Parse(text).value();
}

struct Printed {
  const char* text;
  const char* printed;
};

class ReadsAndPrints : public ::testing::TestWithParam<Printed> {};

TEST_P(ReadsAndPrints, RoundTrip) {
  const auto address = SocketAddress::Parse(GetParam().text);
  ASSERT_TRUE(address.ok()) << address.status();
  EXPECT_EQ(address->ToString(), GetParam().printed);
  EXPECT_EQ(Address(address->ToString()), *address);
  const auto copy =
      SocketAddress::FromSockaddr(address->data(), address->size());
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ(*copy, *address);
}

INSTANTIATE_TEST_SUITE_P(
    Addresses, ReadsAndPrints,
    ::testing::Values(
        Printed{"127.0.0.1:80", "127.0.0.1:80"},
        Printed{"0.0.0.0:0", "0.0.0.0:0"},
        Printed{"255.255.255.255:65535", "255.255.255.255:65535"},
        Printed{"10.0.0.1:00080", "10.0.0.1:80"},
        Printed{"[::1]:80", "[::1]:80"}, Printed{"[::]:0", "[::]:0"},
        // RFC 5952: no leading zeros, lower case, the longest run of zeros is
        // shortened, the first of two equal ones, and never a single group.
        Printed{"[2001:0DB8:0:0:0:0:0:0001]:443", "[2001:db8::1]:443"},
        Printed{"[2001:db8:0:0:1:0:0:1]:1", "[2001:db8::1:0:0:1]:1"},
        Printed{"[2001:db8:0:1:1:1:1:1]:1", "[2001:db8:0:1:1:1:1:1]:1"},
        Printed{"[::ffff:192.0.2.1]:9", "[::ffff:192.0.2.1]:9"},
        Printed{"[::FFFF:c000:0201]:9", "[::ffff:192.0.2.1]:9"},
        // No interface has this number.
        Printed{"[fe80::1%999999]:80", "[fe80::1%999999]:80"}));

struct Refused {
  std::string_view text;
  const char* problem;
};

class RefusesWithReason : public ::testing::TestWithParam<Refused> {};

TEST_P(RefusesWithReason, InvalidArgument) {
  const auto address = SocketAddress::Parse(GetParam().text);
  ASSERT_FALSE(address.ok()) << address->ToString();
  EXPECT_EQ(address.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(address.status().message()),
              HasSubstr(GetParam().problem));
}

using std::string_view_literals::operator""sv;

INSTANTIATE_TEST_SUITE_P(
    Texts, RefusesWithReason,
    ::testing::Values(
        Refused{"", "parse address \"\": empty"},
        Refused{"127.0.0.1", "\"127.0.0.1\": no port"},
        Refused{"127.0.0.1:", "no port"}, Refused{"[::1]", "no port"},
        Refused{"[::1]:", "no port"}, Refused{":", "no port"},
        Refused{"127.0.0.1:http", "the port is not a number"},
        Refused{"127.0.0.1:-1", "the port is not a number"},
        Refused{"127.0.0.1:+1", "the port is not a number"},
        Refused{"127.0.0.1: 1", "the port is not a number"},
        Refused{"127.0.0.1:1 ", "the port is not a number"},
        Refused{"127.0.0.1:0x1", "the port is not a number"},
        Refused{"127.0.0.1:1\0"sv, "the port is not a number"},
        Refused{"127.0.0.1:65536", "the port is greater than 65535"},
        Refused{"127.0.0.1:4294967376", "the port is greater than 65535"},
        Refused{"127.0.0.1:99999999999999999999", "greater than 65535"},
        Refused{"[::1]:65536", "the port is greater than 65535"},
        Refused{"127.0.0:80", "not an IPv4 address"},
        Refused{"127.0.0.256:80", "not an IPv4 address"},
        Refused{"127.0.0.01:80", "not an IPv4 address"},
        Refused{"127.0.0.1.1:80", "not an IPv4 address"},
        Refused{" 127.0.0.1:80", "not an IPv4 address"},
        Refused{"127.0.0.1\0:80"sv, "not an IPv4 address"},
        Refused{"localhost:80", "not an IPv4 address"},
        Refused{":80", "not an IPv4 address"}, Refused{"::1", "in brackets"},
        Refused{"::1:80", "in brackets"},
        Refused{"fe80::1%lo:80", "in brackets"},
        Refused{"127.0.0.1:80:80", "in brackets"},
        Refused{"[::1:80", "no closing bracket"},
        Refused{"[", "no closing bracket"},
        Refused{"[]:80", "not an IPv6 address"},
        Refused{"[::1]80", "after the bracket"},
        Refused{"[::1]]:80", "after the bracket"},
        Refused{"[::1] :80", "after the bracket"},
        Refused{"[127.0.0.1]:80", "not an IPv6 address"},
        Refused{"[::g]:80", "not an IPv6 address"},
        Refused{"[:::]:80", "not an IPv6 address"},
        Refused{"[1:2:3:4:5:6:7:8:9]:80", "not an IPv6 address"},
        Refused{"[::1\0]:80"sv, "not an IPv6 address"},
        Refused{"[[::1]:80", "not an IPv6 address"},
        Refused{"[%1]:80", "not an IPv6 address"},
        Refused{"[fe80::1%]:80", "no interface"},
        Refused{"[fe80::1%no such]:80", "no interface"},
        Refused{"[fe80::1%lo\0]:80"sv, "no interface"},
        Refused{"[fe80::1%4294967296]:80", "no interface"},
        Refused{"\x1b[31m\n", "\"\\x1b[31m\\n\": no port"}));

TEST(SocketAddress, ErrorShowsTheBeginningOfALongText) {
  const auto address = SocketAddress::Parse(std::string(100'000, 'a'));
  EXPECT_EQ(address.status().message(),
            "parse address \"" + std::string(80, 'a') + "...\": no port");
}

TEST(SocketAddress, ZoneIsReadByNameOrNumberAndPrintedByName) {
  const unsigned loopback = if_nametoindex("lo");
  if (loopback == 0) GTEST_SKIP() << "no interface is called lo";
  const SocketAddress by_name = Address("[fe80::1%lo]:80");
  const SocketAddress by_number =
      Address("[fe80::1%" + std::to_string(loopback) + "]:80");
  EXPECT_EQ(by_name, by_number);
  EXPECT_EQ(by_number.ToString(), "[fe80::1%lo]:80");
  EXPECT_NE(by_name, Address("[fe80::1]:80"));
}

TEST(SocketAddress, DefaultIsAnyIpv4) {
  EXPECT_EQ(SocketAddress().ToString(), "0.0.0.0:0");
  EXPECT_EQ(SocketAddress(), Address("0.0.0.0:0"));
}

TEST(SocketAddress, LoopbackHelpers) {
  EXPECT_EQ(SocketAddress::Loopback(80).ToString(), "127.0.0.1:80");
  EXPECT_EQ(SocketAddress::LoopbackV6(80).ToString(), "[::1]:80");
}

TEST(SocketAddress, KnowsLoopback) {
  for (const char* text : {"127.0.0.1:1", "127.255.255.254:1", "[::1]:1",
                           "[::ffff:127.0.0.1]:1"}) {
    EXPECT_TRUE(Address(text).IsLoopback()) << text;
  }
  for (const char* text : {"128.0.0.1:1", "0.0.0.0:1", "[::]:1", "[fe80::1]:1",
                           "[::127.0.0.1]:1", "[::ffff:128.0.0.1]:1"}) {
    EXPECT_FALSE(Address(text).IsLoopback()) << text;
  }
}

TEST(SocketAddress, WithPortChangesThePortAlone) {
  EXPECT_EQ(Address("10.0.0.1:1").WithPort(2), Address("10.0.0.1:2"));
  EXPECT_EQ(Address("[fe80::1%7]:1").WithPort(2), Address("[fe80::1%7]:2"));
  EXPECT_EQ(Address("[::1]:1").WithPort(65535).port(), 65535);
}

TEST(SocketAddress, FitsSystemCalls) {
  const SocketAddress v4 = Address("10.0.0.1:258");
  EXPECT_EQ(v4.family(), AF_INET);
  ASSERT_EQ(v4.size(), sizeof(sockaddr_in));
  sockaddr_in raw{};
  std::memcpy(&raw, v4.data(), v4.size());
  EXPECT_EQ(raw.sin_family, AF_INET);
  EXPECT_EQ(raw.sin_port, htons(258));
  EXPECT_EQ(raw.sin_addr.s_addr, htonl(0x0a000001));

  const SocketAddress v6 = Address("[::1%3]:258");
  EXPECT_EQ(v6.family(), AF_INET6);
  EXPECT_EQ(v6.size(), sizeof(sockaddr_in6));
}

TEST(SocketAddress, FromSockaddrRefusesWhatIsNotIp) {
  sockaddr_storage unix_address{};
  unix_address.ss_family = AF_UNIX;
  const auto* raw = reinterpret_cast<const sockaddr*>(&unix_address);
  EXPECT_EQ(
      SocketAddress::FromSockaddr(raw, sizeof(unix_address)).status().message(),
      "socket address: family 1 is neither IPv4 nor IPv6");
  EXPECT_EQ(SocketAddress::FromSockaddr(raw, 0).status().message(),
            "socket address: empty");
}

TEST(SocketAddress, FromSockaddrRefusesWhatIsTooShort) {
  for (const SocketAddress& address :
       {SocketAddress::Loopback(1), SocketAddress::LoopbackV6(1)}) {
    const auto cut =
        SocketAddress::FromSockaddr(address.data(), address.size() - 1);
    EXPECT_EQ(cut.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(cut.status().message()), HasSubstr("instead of"));
  }
}

TEST(SocketAddress, PaddingAndFlowLabelMakeNoDifference) {
  sockaddr_in v4;
  std::memset(&v4, 0xff, sizeof(v4));
  v4.sin_family = AF_INET;
  v4.sin_port = htons(80);
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(*SocketAddress::FromSockaddr(reinterpret_cast<const sockaddr*>(&v4),
                                         sizeof(v4)),
            SocketAddress::Loopback(80));

  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(80);
  v6.sin6_flowinfo = 42;
  v6.sin6_addr = in6addr_loopback;
  EXPECT_EQ(*SocketAddress::FromSockaddr(reinterpret_cast<const sockaddr*>(&v6),
                                         sizeof(v6)),
            SocketAddress::LoopbackV6(80));
}

TEST(SocketAddress, OrderIsFamilyAddressPortZone) {
  const std::vector<SocketAddress> ascending = {
      Address("10.0.0.1:1"),  Address("10.0.0.1:256"), Address("10.0.1.0:1"),
      Address("192.0.2.1:1"), Address("[::]:1"),       Address("[::1]:1"),
      Address("[::1%2]:1"),   Address("[::1]:2"),      Address("[fe80::1]:1"),
  };
  for (size_t i = 0; i < ascending.size(); ++i) {
    for (size_t j = 0; j < ascending.size(); ++j) {
      EXPECT_EQ(ascending[i] <=> ascending[j], i <=> j) << i << " " << j;
      EXPECT_EQ(ascending[i] == ascending[j], i == j) << i << " " << j;
    }
  }
}

TEST(SocketAddress, EqualAddressesHashEqual) {
  absl::flat_hash_set<SocketAddress> seen;
  EXPECT_TRUE(seen.insert(Address("10.0.0.1:1")).second);
  EXPECT_TRUE(seen.insert(Address("10.0.0.1:2")).second);
  EXPECT_TRUE(seen.insert(Address("[::1]:1")).second);
  EXPECT_TRUE(seen.insert(Address("[::1%2]:1")).second);
  EXPECT_FALSE(seen.insert(Address("[0:0::1]:1")).second);
  EXPECT_FALSE(seen.insert(Address("10.0.0.1:1")).second);
}

// Puts a piece in the place of up to two characters of the text.
void Mutate(std::string& text, std::mt19937& random) {
  constexpr std::string_view kPieces[] = {
      "[", "]",  ":",    "::",   "%",         ".",      "0",    "1", "80",
      "f", "lo", "fe80", "ffff", "127.0.0.1", "[::1]:", "\0"sv, "x", "\xff"};
  const auto up_to = [&](size_t limit) {
    return std::uniform_int_distribution<size_t>(0, limit)(random);
  };
  const size_t begin = up_to(text.size());
  const size_t count = up_to(2);
  text.replace(begin, count, kPieces[up_to(std::size(kPieces) - 1)]);
}

// Whatever is accepted prints as a text that is accepted as the same address.
TEST(SocketAddress, RandomTextsAreRefusedOrRoundTrip) {
  constexpr uint32_t kSeed = 20'240'229;
  constexpr int kTexts = 200'000;
  constexpr const char* kStarts[] = {"", "127.0.0.1:80", "[2001:db8::1]:80",
                                     "[fe80::1%1]:80"};
  std::mt19937 random(kSeed);
  std::set<std::string> accepted;
  for (int i = 0; i < kTexts; ++i) {
    std::string text = kStarts[random() % std::size(kStarts)];
    for (auto left = random() % 8; left > 0; --left) Mutate(text, random);
    const auto address = SocketAddress::Parse(text);
    if (!address.ok()) {
      EXPECT_EQ(address.status().code(), absl::StatusCode::kInvalidArgument);
      continue;
    }
    const std::string printed = address->ToString();
    EXPECT_EQ(Address(printed), *address) << "seed " << kSeed << ": " << text;
    accepted.insert(printed);
  }
  // The loop must not pass because nothing is ever accepted.
  EXPECT_GT(accepted.size(), 300u);
}

}  // namespace
}  // namespace weft::net
