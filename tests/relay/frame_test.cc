// The framing of the relay: what it writes it reads, and nothing else.
#include "weft/examples/relay/frame.h"

#include <cstdint>
#include <random>
#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace relay {
namespace {

const Message kMessage = {.kind = Kind::kEvent,
                          .upstream = 2799,
                          .order = 0x0102030405060708,
                          .sequence = 42,
                          .sent_ns = -1,
                          .payload = "payload"};

std::string FrameOf(const Message& message) {
  std::string frame;
  AppendFrame(message, frame);
  return frame;
}

absl::StatusCode CodeOf(std::string_view bytes) {
  Message message;
  return ParseFrame(bytes, message).status().code();
}

TEST(Frame, ParsesToWhatWasWritten) {
  for (const size_t size : {size_t{0}, size_t{1}, kMaxPayloadSize}) {
    Message message = kMessage;
    message.payload.assign(size, '\0');
    const std::string frame = FrameOf(message);
    EXPECT_EQ(frame.size(), kHeaderSize + kMinBodySize + size);
    Message parsed;
    EXPECT_EQ(ParseFrame(frame, parsed).value(), frame.size());
    EXPECT_EQ(parsed, message);
  }
}

TEST(Frame, LayoutIsLittleEndianWithTheUsualChecksum) {
  const std::string frame = FrameOf({.kind = Kind::kEnd, .upstream = 1});
  EXPECT_EQ(frame.substr(0, 4), std::string("\x1d\0\0\0", 4));
  // What zlib.crc32 gives for this body.
  EXPECT_EQ(frame.substr(4, 4), "\x57\x53\xe9\xaf");
  EXPECT_EQ(frame.substr(8), "\3\1" + std::string(27, '\0'));
}

TEST(Frame, LeavesWhatFollows) {
  const std::string frame = FrameOf(kMessage);
  Message parsed;
  EXPECT_EQ(ParseFrame(frame + frame, parsed).value(), frame.size());
  EXPECT_EQ(ParseFrame(frame + "\xff", parsed).value(), frame.size());
}

TEST(Frame, WaitsForTheRestAtEveryOffset) {
  const std::string frame = FrameOf(kMessage);
  for (size_t size = 0; size < frame.size(); ++size) {
    Message parsed;
    EXPECT_EQ(ParseFrame(frame.substr(0, size), parsed).value(), 0u) << size;
  }
}

TEST(Frame, NoticesEveryDamagedBit) {
  const std::string frame = FrameOf(kMessage);
  for (size_t bit = 0; bit < 8 * frame.size(); ++bit) {
    std::string damaged = frame;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    Message parsed;
    const absl::StatusOr<size_t> used = ParseFrame(damaged, parsed);
    // A damaged size may also ask for bytes that are not there.
    EXPECT_TRUE(!used.ok() || (bit < 32 && *used == 0)) << bit;
  }
}

TEST(Frame, RefusesImpossibleSizes) {
  for (const uint32_t size : {uint32_t{0}, uint32_t{kMinBodySize - 1},
                              uint32_t{kMaxBodySize + 1}, UINT32_MAX}) {
    std::string header(kHeaderSize, '\0');
    for (size_t i = 0; i < 4; ++i) {
      header[i] = static_cast<char>(size >> (8 * i));
    }
    EXPECT_EQ(CodeOf(header), absl::StatusCode::kInvalidArgument) << size;
  }
}

TEST(Frame, RefusesUnknownKinds) {
  for (const int kind : {0, 7, 255}) {
    const std::string frame = FrameOf({.kind = static_cast<Kind>(kind)});
    EXPECT_EQ(CodeOf(frame), absl::StatusCode::kInvalidArgument) << kind;
  }
}

TEST(Frame, SurvivesGarbage) {
  std::mt19937 random(1);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes(random() % 100, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    // Half of them get past the check of the size.
    if (round % 2 == 0 && bytes.size() > 4) bytes.replace(1, 3, 3, '\0');
    Message parsed;
    const absl::StatusOr<size_t> used = ParseFrame(bytes, parsed);
    EXPECT_TRUE(!used.ok() || *used == 0);
  }
}

}  // namespace
}  // namespace relay
