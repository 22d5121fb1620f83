#include "weft/net/bytes.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace weft::net {
namespace {

std::string TextOf(ConstBytes bytes) {
  return {static_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(ConstBytes, TextInAnyFormConverts) {
  const char* const c_string = "abc";
  const std::string string = "abc";
  EXPECT_EQ(TextOf("abc"), "abc");
  EXPECT_EQ(TextOf(c_string), "abc");
  EXPECT_EQ(TextOf(string), "abc");
  EXPECT_EQ(TextOf(std::string("abc")), "abc");
  EXPECT_EQ(TextOf(std::string_view("abcd", 3)), "abc");
  EXPECT_EQ(TextOf(absl::string_view("abcd", 3)), "abc");
  EXPECT_EQ(TextOf(""), "");
}

TEST(ConstBytes, BytesInAnyFormConvert) {
  std::array<char, 3> chars = {'a', 'b', 'c'};
  const std::vector<uint8_t> octets = {'a', 'b', 'c'};
  const std::array<std::byte, 3> bytes = {std::byte{'a'}, std::byte{'b'},
                                          std::byte{'c'}};
  const uint8_t raw[] = {'a', 'b', 'c'};
  EXPECT_EQ(TextOf(chars), "abc");
  EXPECT_EQ(TextOf(std::span(chars).first(2)), "ab");
  EXPECT_EQ(TextOf(std::span<const char>(chars)), "abc");
  EXPECT_EQ(TextOf(std::span<const char, 3>(chars)), "abc");
  EXPECT_EQ(TextOf(octets), "abc");
  EXPECT_EQ(TextOf(bytes), "abc");
  EXPECT_EQ(TextOf(std::span<const std::byte>(bytes)), "abc");
  EXPECT_EQ(TextOf(raw), "abc");
}

TEST(ConstBytes, ZerosInsideAreKept) {
  using std::string_view_literals::operator""sv;
  EXPECT_EQ(TextOf("a\0b"sv).size(), 3u);
}

TEST(ConstBytes, SkipLeavesTheRest) {
  EXPECT_EQ(TextOf(ConstBytes("abc").Skip(1)), "bc");
  EXPECT_TRUE(ConstBytes("abc").Skip(3).empty());
  EXPECT_TRUE(ConstBytes().empty());
}

// A buffer that was read into is not a zero-terminated text.
static_assert(!std::is_convertible_v<char (&)[4], ConstBytes>);
static_assert(std::is_convertible_v<const char (&)[4], ConstBytes>);
// Only bytes are bytes.
static_assert(!std::is_convertible_v<std::vector<int>, ConstBytes>);
static_assert(!std::is_convertible_v<std::vector<bool>, ConstBytes>);
static_assert(!std::is_convertible_v<int, ConstBytes>);

TEST(MutableBytes, RoomInAnyFormConverts) {
  char raw[3];
  std::array<std::byte, 4> array;
  std::string string(5, ' ');
  std::vector<uint8_t> vector(6);
  const auto expect = [](MutableBytes room, const void* data, size_t size) {
    EXPECT_EQ(room.data(), data);
    EXPECT_EQ(room.size(), size);
  };
  expect(raw, raw, 3);
  expect(array, array.data(), 4);
  expect(string, string.data(), 5);
  expect(vector, vector.data(), 6);
  expect(std::span(raw), raw, 3);
  expect(std::span(raw).first(2), raw, 2);
  expect(std::span<std::byte>(array), array.data(), 4);
  expect(MutableBytes(raw).Skip(1), raw + 1, 2);
  EXPECT_TRUE(MutableBytes().empty());
}

// Nothing is received into what may not be written.
static_assert(!std::is_convertible_v<const std::string&, MutableBytes>);
static_assert(!std::is_convertible_v<std::span<const char>, MutableBytes>);
static_assert(!std::is_convertible_v<std::string_view, MutableBytes>);
static_assert(!std::is_convertible_v<const char (&)[4], MutableBytes>);
static_assert(!std::is_convertible_v<std::vector<int>&, MutableBytes>);

}  // namespace
}  // namespace weft::net
