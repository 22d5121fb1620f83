#include "weft/examples/relay/frame.h"

#include <boost/crc.hpp>
#include <concepts>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace relay {
namespace {

template <std::unsigned_integral T>
void Put(T value, std::string& out) {
  for (size_t i = 0; i < sizeof(T); ++i) {
    out.push_back(static_cast<char>(value >> (8 * i)));
  }
}

// Takes a number off the front of `bytes`, which is long enough.
template <std::unsigned_integral T>
T Take(std::string_view& bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value |= uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  }
  bytes.remove_prefix(sizeof(T));
  return static_cast<T>(value);
}

uint32_t Checksum(std::string_view bytes) {
  boost::crc_32_type crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return crc.checksum();
}

bool IsKind(uint8_t kind) {
  return kind >= static_cast<uint8_t>(Kind::kHello) &&
         kind <= static_cast<uint8_t>(Kind::kAck);
}

}  // namespace

void AppendFrame(const Message& message, std::string& out) {
  std::string body;
  body.reserve(kMinBodySize + message.payload.size());
  Put(static_cast<uint8_t>(message.kind), body);
  Put(message.upstream, body);
  Put(message.order, body);
  Put(message.sequence, body);
  Put(static_cast<uint64_t>(message.sent_ns), body);
  body += message.payload;
  Put(static_cast<uint32_t>(body.size()), out);
  Put(Checksum(body), out);
  out += body;
}

absl::StatusOr<size_t> ParseFrame(std::string_view bytes, Message& message) {
  if (bytes.size() < kHeaderSize) return size_t{0};
  const auto size = Take<uint32_t>(bytes);
  if (size < kMinBodySize || size > kMaxBodySize) {
    return absl::InvalidArgumentError(
        absl::StrCat("parse frame: a size of ", size, " bytes"));
  }
  const auto checksum = Take<uint32_t>(bytes);
  if (bytes.size() < size) return size_t{0};
  std::string_view body = bytes.substr(0, size);
  if (Checksum(body) != checksum) {
    return absl::DataLossError("parse frame: wrong checksum");
  }
  const auto kind = Take<uint8_t>(body);
  if (!IsKind(kind)) {
    return absl::InvalidArgumentError(
        absl::StrCat("parse frame: a message of kind ", kind));
  }
  message.kind = static_cast<Kind>(kind);
  message.upstream = Take<uint32_t>(body);
  message.order = Take<uint64_t>(body);
  message.sequence = Take<uint64_t>(body);
  message.sent_ns = static_cast<int64_t>(Take<uint64_t>(body));
  message.payload = body;
  return kHeaderSize + size;
}

}  // namespace relay
