// The subscribers of the relay on Sim.
#ifndef WEFT_TESTS_RELAY_SIM_AUDIENCE_H_
#define WEFT_TESTS_RELAY_SIM_AUDIENCE_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "weft/backends/sim/sim.h"
#include "weft/examples/relay/frame.h"
#include "weft/examples/relay/frame_reader.h"
#include "weft/net/address.h"
#include "weft/net/tcp_stream.h"
#include "weft/sync/latch.h"
#include "weft/tests/relay/sim_ledger.h"

namespace relay {

// Subscribers of each sort.
class Audience {
 public:
  static constexpr size_t kHealthy = 2;

  Audience(const weft::net::SocketAddress& relay, const Ledger& ledger)
      : relay_(relay), ledger_(ledger), joined_(kHealthy + 2) {}

  // Reads all there is, and checks that it gets what the log has, from the
  // place where it came in.
  void Read(weft::Sim& io, size_t index) {
    absl::StatusOr<weft::net::TcpStream> stream = Join(io);
    if (!stream.ok()) return;
    FrameReader reader(*stream);
    const absl::StatusOr<uint64_t> first = AwaitWelcome(io, reader);
    if (!first.ok()) return;
    joined_.CountDown(io);
    ended_.at(index) = ReadToTheEnd(io, reader, *first, received_.at(index));
  }

  // The same for one that comes at any time, and may come too late.
  void ReadLate(weft::Sim& io) {
    absl::StatusOr<weft::net::TcpStream> stream = Join(io);
    if (!stream.ok()) {
      EXPECT_TRUE(absl::IsUnavailable(stream.status())) << stream.status();
      ++late_.refused;
      return;
    }
    FrameReader reader(*stream);
    const absl::StatusOr<uint64_t> first = AwaitWelcome(io, reader);
    if (!first.ok()) {
      ++late_.refused;
      return;
    }
    ++(*first == 1 ? late_.early : late_.welcome);
    uint64_t received = 0;
    EXPECT_TRUE(ReadToTheEnd(io, reader, *first, received));
    EXPECT_EQ(*first + received, ledger_.events.size() + 1);
  }

  // Breaks the connection after a few events.
  void Leave(weft::Sim& io) {
    absl::StatusOr<weft::net::TcpStream> stream = Join(io);
    if (!stream.ok()) return;
    FrameReader reader(*stream);
    absl::Status status = Next(io, reader).status();
    joined_.CountDown(io);
    for (int i = 0; i < 3 && status.ok(); ++i) {
      status = Next(io, reader).status();
    }
    (void)stream->SetResetOnClose(true);
  }

  // Reads almost nothing.
  void Dawdle(weft::Sim& io) {
    absl::StatusOr<weft::net::TcpStream> stream = Join(io);
    if (!stream.ok()) return;
    (void)stream->SetReceiveBuffer(kBuffer);
    std::array<char, kHeaderSize + kMinBodySize> bytes;
    absl::Status status = stream->ReadExactly(io, bytes);
    joined_.CountDown(io);
    while (status.ok()) {
      status = weft::Sleep(io, std::chrono::seconds(1));
      if (status.ok())
        status = stream->ReadExactly(io, std::span(bytes).first(8));
    }
    cut_ = absl::IsUnavailable(status);
  }

  absl::Status AwaitJoined(weft::Sim& io) {
    return joined_.WaitFor(io, std::chrono::minutes(1));
  }

  // After their end.
  bool had_the_end(size_t index) const { return ended_.at(index); }
  uint64_t received(size_t index) const { return received_.at(index); }
  bool was_cut() const { return cut_; }

  // How those fared that came late.
  struct Late {
    uint64_t early = 0;    // before the first event
    uint64_t welcome = 0;  // after some
    uint64_t refused = 0;  // after the end
  };
  const Late& late() const { return late_; }

 private:
  // The number of the first event that is to come.
  static absl::StatusOr<uint64_t> AwaitWelcome(weft::Sim& io,
                                               FrameReader& reader) {
    const absl::StatusOr<Message> message = Next(io, reader);
    if (!message.ok()) return message.status();
    EXPECT_EQ(message->kind, Kind::kWelcome);
    return message->order;
  }

  // True if the end came, after all that the log has from `order` on.
  bool ReadToTheEnd(weft::Sim& io, FrameReader& reader, uint64_t order,
                    uint64_t& received) {
    for (;; ++order, ++received) {
      const absl::StatusOr<Message> message = Next(io, reader);
      if (!message.ok()) return false;
      if (message->kind == Kind::kEnd) {
        EXPECT_EQ(message->order, order - 1);
        EXPECT_EQ(message->order, ledger_.events.size());
        return true;
      }
      if (order > ledger_.events.size()) {
        ADD_FAILURE() << "is not logged yet";
        return false;
      }
      EXPECT_EQ(*message, ledger_.events[order - 1]);
    }
  }

  absl::StatusOr<weft::net::TcpStream> Join(weft::Sim& io) {
    return weft::net::TcpStream::Connect(io, relay_);
  }

  const weft::net::SocketAddress relay_;
  const Ledger& ledger_;
  weft::Latch<weft::Sim> joined_;
  std::array<bool, kHealthy> ended_ = {};
  std::array<uint64_t, kHealthy> received_ = {};
  bool cut_ = false;
  Late late_;
};

}  // namespace relay

#endif  // WEFT_TESTS_RELAY_SIM_AUDIENCE_H_
