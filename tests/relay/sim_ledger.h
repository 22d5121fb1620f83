// What the relay on Sim has to do, and a log that checks it.
#ifndef WEFT_TESTS_RELAY_SIM_LEDGER_H_
#define WEFT_TESTS_RELAY_SIM_LEDGER_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "weft/backends/sim/sim.h"
#include "weft/examples/relay/frame.h"
#include "weft/examples/relay/frame_reader.h"
#include "weft/examples/relay/log.h"
#include "weft/net/tcp_stream.h"

namespace relay {

inline constexpr uint32_t kUpstreams = 3;
inline constexpr uint64_t kEventsEach = 12;
inline constexpr uint64_t kAllEvents = kUpstreams * kEventsEach;
inline constexpr size_t kPayloadSize = 2000;
// An upstream sends so many events at a time, and waits until they are
// acknowledged and then for the pace: a subscriber that reads is never further
// behind than all upstreams can be ahead.
inline constexpr uint64_t kWindow = 2;
inline constexpr weft::Duration kPace = std::chrono::milliseconds(20);
inline constexpr weft::Duration kMostLatency = std::chrono::milliseconds(2);
inline constexpr size_t kSubscriberQueue = 8;
static_assert(kUpstreams * kWindow < kSubscriberQueue);
inline constexpr size_t kBuffer = 4608;
// One that does not read falls behind by more than its queue, what its task
// has taken out of it, and the buffers of the connection hold.
static_assert(kAllEvents * kPayloadSize >
              (2 * kSubscriberQueue + kUpstreams * kWindow) * kPayloadSize +
                  4 * kBuffer);
inline constexpr weft::Duration kStopWithin = std::chrono::seconds(10);

inline Message EventOf(uint32_t upstream, uint64_t sequence) {
  const auto letter =
      static_cast<char>('a' + (upstream * kEventsEach + sequence) % 26);
  return {.kind = Kind::kEvent,
          .upstream = upstream,
          .sequence = sequence,
          .payload = std::string(kPayloadSize, letter)};
}

inline absl::Status Send(weft::Sim& io, weft::net::TcpStream& stream,
                         const Message& message) {
  std::string frame;
  AppendFrame(message, frame);
  return stream.WriteAll(io, frame);
}

// The next message; OUT_OF_RANGE at the end of the stream.
inline absl::StatusOr<Message> Next(weft::Sim& io, FrameReader& reader) {
  absl::StatusOr<std::optional<Message>> message = reader.Next(io);
  if (!message.ok()) return message.status();
  if (!message->has_value()) return absl::OutOfRangeError("end of stream");
  return **std::move(message);
}

// What the log of the relay holds.
struct Ledger {
  std::vector<Message> events;
  std::array<uint64_t, kUpstreams> last = {};  // of each upstream
  size_t synced = 0;
  weft::MonotonicTime synced_at;
};

// Takes its time, as a file does, and lets nothing in that was there already
// or comes too early.
class MemoryLog final : public Log {
 public:
  explicit MemoryLog(Ledger& ledger) : ledger_(ledger) {}

  absl::Status Append(weft::Io& io, std::string_view frames) override {
    if (absl::Status status = weft::Sleep(io, std::chrono::milliseconds(1));
        !status.ok())
      return status;
    while (!frames.empty()) {
      Message event;
      const absl::StatusOr<size_t> size = ParseFrame(frames, event);
      if (!size.ok()) return size.status();
      if (*size == 0) return absl::InternalError("half a frame");
      frames.remove_prefix(*size);
      Add(std::move(event));
    }
    return absl::OkStatus();
  }
  absl::Status Sync(weft::Io& io) override {
    if (absl::Status status = weft::Sleep(io, std::chrono::milliseconds(1));
        !status.ok())
      return status;
    ledger_.synced = ledger_.events.size();
    ledger_.synced_at = io.Now();
    return absl::OkStatus();
  }

 private:
  void Add(Message event) {
    ASSERT_LT(event.upstream, kUpstreams);
    EXPECT_EQ(event.sequence, ++ledger_.last[event.upstream]);
    Message sent = EventOf(event.upstream, event.sequence);
    sent.order = ledger_.events.size() + 1;
    EXPECT_EQ(event, sent);
    ledger_.events.push_back(std::move(event));
  }

  Ledger& ledger_;
};

}  // namespace relay

#endif  // WEFT_TESTS_RELAY_SIM_LEDGER_H_
