// The relay on Sim: what it promises its subscribers and its upstreams, in many
// schedules and on a network that breaks.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "weft/backends/sim/gtest.h"
#include "weft/backends/sim/network.h"
#include "weft/backends/sim/sim.h"
#include "weft/examples/relay/frame.h"
#include "weft/examples/relay/frame_reader.h"
#include "weft/examples/relay/log.h"
#include "weft/examples/relay/relay.h"
#include "weft/net/tcp_listener.h"
#include "weft/net/tcp_stream.h"
#include "weft/runtime/future.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/event.h"
#include "weft/sync/latch.h"

namespace relay {
namespace {

using namespace std::chrono_literals;
using weft::Sim;
using weft::net::SocketAddress;
using weft::net::TcpListener;
using weft::net::TcpStream;
using weft::sim::ExploreResult;
using weft::sim::Host;
using weft::sim::OnHost;

constexpr uint32_t kUpstreams = 3;
constexpr uint64_t kEventsEach = 12;
constexpr uint64_t kAllEvents = kUpstreams * kEventsEach;
constexpr size_t kPayloadSize = 2000;
// An upstream sends so many events at a time, and waits until they are
// acknowledged and then for the pace: a subscriber that reads is never further
// behind than all upstreams can be ahead.
constexpr uint64_t kWindow = 2;
constexpr weft::Duration kPace = 20ms;
constexpr weft::Duration kMostLatency = 2ms;
constexpr size_t kSubscriberQueue = 8;
static_assert(kUpstreams * kWindow < kSubscriberQueue);
constexpr size_t kBuffer = 4608;
// One that does not read falls behind by more than its queue, what its task
// has taken out of it, and the buffers of the connection hold.
static_assert(kAllEvents * kPayloadSize >
              (2 * kSubscriberQueue + kUpstreams * kWindow) * kPayloadSize +
                  4 * kBuffer);
constexpr weft::Duration kStopWithin = 10s;

Message EventOf(uint32_t upstream, uint64_t sequence) {
  const auto letter =
      static_cast<char>('a' + (upstream * kEventsEach + sequence) % 26);
  return {.kind = Kind::kEvent,
          .upstream = upstream,
          .sequence = sequence,
          .payload = std::string(kPayloadSize, letter)};
}

absl::Status Send(Sim& io, TcpStream& stream, const Message& message) {
  std::string frame;
  AppendFrame(message, frame);
  return stream.WriteAll(io, frame);
}

// The next message; OUT_OF_RANGE at the end of the stream.
absl::StatusOr<Message> Next(Sim& io, FrameReader& reader) {
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
    if (absl::Status status = weft::Sleep(io, 1ms); !status.ok()) return status;
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
    if (absl::Status status = weft::Sleep(io, 1ms); !status.ok()) return status;
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

// All the upstreams.
class Sources {
 public:
  Sources(TcpListener listener, const Ledger& ledger)
      : listener_(std::move(listener)), ledger_(ledger) {}

  // Lets the relay in until cancelled.
  void Run(Sim& io) {
    weft::TaskGroup<Sim> connections(io);
    do {
      absl::StatusOr<TcpStream> stream = listener_.Accept(io);
      if (!stream.ok()) continue;
      connections.Spawn(
          {.name = "source"},
          // However the connection ends, the relay makes another one.
          [this](Sim& own, TcpStream peer) { (void)Play(own, peer); },
          *std::move(stream));
    } while (weft::Sleep(io, 1ms).ok());
  }

  // Events flow from now on.
  void Start(Sim& io) { started_.Set(io); }

 private:
  absl::Status Play(Sim& io, TcpStream& stream) {
    FrameReader reader(stream);
    const absl::StatusOr<Message> hello = Next(io, reader);
    if (!hello.ok()) return hello.status();
    EXPECT_EQ(hello->kind, Kind::kHello);
    const uint32_t upstream = hello->upstream;
    if (absl::Status status = started_.Wait(io); !status.ok()) return status;
    uint64_t& acknowledged = acknowledged_.at(upstream);
    EXPECT_GE(hello->sequence, acknowledged) << "asks for what it had logged";
    uint64_t sent = hello->sequence;
    if (io.Random() % 6 == 0) {
      // One that was there already, or one too early.
      const uint64_t wrong = io.Random() % 2 == 0 ? sent : sent + 2;
      absl::Status status = Send(io, stream, EventOf(upstream, wrong));
      while (status.ok()) status = Next(io, reader).status();
      return status;
    }
    for (uint64_t known = sent; known < kEventsEach || sent < kEventsEach;) {
      absl::Status status = weft::Sleep(io, kPace);
      if (known == sent) {
        const uint64_t last = std::min(sent + kWindow, kEventsEach);
        while (status.ok() && sent < last) {
          status = Send(io, stream, EventOf(upstream, ++sent));
        }
      }
      if (status.ok()) {
        status = Send(
            io, stream,
            {.kind = Kind::kHeartbeat, .upstream = upstream, .sequence = sent});
      }
      if (!status.ok()) return status;
      // The events may be acknowledged before the heartbeat is.
      const absl::StatusOr<Message> ack = Next(io, reader);
      if (!ack.ok()) return ack.status();
      EXPECT_EQ(ack->kind, Kind::kAck);
      EXPECT_LE(ack->sequence, ledger_.last.at(upstream)) << "is not logged";
      known = ack->sequence;
      acknowledged = std::max(acknowledged, known);
    }
    absl::Status status = Send(
        io, stream,
        {.kind = Kind::kEnd, .upstream = upstream, .sequence = kEventsEach});
    while (status.ok()) status = Next(io, reader).status();
    return status;
  }

  TcpListener listener_;
  const Ledger& ledger_;
  weft::Event<Sim> started_;
  std::array<uint64_t, kUpstreams> acknowledged_ = {};
};

// Subscribers of each sort.
class Audience {
 public:
  static constexpr size_t kHealthy = 2;

  Audience(const SocketAddress& relay, const Ledger& ledger)
      : relay_(relay), ledger_(ledger), joined_(kHealthy + 2) {}

  // Reads all there is, and checks that it gets what the log has, from the
  // place where it came in.
  void Read(Sim& io, size_t index) {
    absl::StatusOr<TcpStream> stream = Join(io);
    if (!stream.ok()) return;
    FrameReader reader(*stream);
    const absl::StatusOr<uint64_t> first = AwaitWelcome(io, reader);
    if (!first.ok()) return;
    joined_.CountDown(io);
    ended_.at(index) = ReadToTheEnd(io, reader, *first, received_.at(index));
  }

  // The same for one that comes at any time, and may come too late.
  void ReadLate(Sim& io) {
    absl::StatusOr<TcpStream> stream = Join(io);
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
  void Leave(Sim& io) {
    absl::StatusOr<TcpStream> stream = Join(io);
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
  void Dawdle(Sim& io) {
    absl::StatusOr<TcpStream> stream = Join(io);
    if (!stream.ok()) return;
    (void)stream->SetReceiveBuffer(kBuffer);
    std::array<char, kHeaderSize + kMinBodySize> bytes;
    absl::Status status = stream->ReadExactly(io, bytes);
    joined_.CountDown(io);
    while (status.ok()) {
      status = weft::Sleep(io, 1s);
      if (status.ok())
        status = stream->ReadExactly(io, std::span(bytes).first(8));
    }
    cut_ = absl::IsUnavailable(status);
  }

  absl::Status AwaitJoined(Sim& io) { return joined_.WaitFor(io, 1min); }

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
  static absl::StatusOr<uint64_t> AwaitWelcome(Sim& io, FrameReader& reader) {
    const absl::StatusOr<Message> message = Next(io, reader);
    if (!message.ok()) return message.status();
    EXPECT_EQ(message->kind, Kind::kWelcome);
    return message->order;
  }

  // True if the end came, after all that the log has from `order` on.
  bool ReadToTheEnd(Sim& io, FrameReader& reader, uint64_t order,
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

  absl::StatusOr<TcpStream> Join(Sim& io) {
    return TcpStream::Connect(io, relay_);
  }

  const SocketAddress relay_;
  const Ledger& ledger_;
  weft::Latch<Sim> joined_;
  std::array<bool, kHealthy> ended_ = {};
  std::array<uint64_t, kHealthy> received_ = {};
  bool cut_ = false;
  Late late_;
};

// The relay, its upstreams and its subscribers, each on a host of its own.
class Stage {
 public:
  // False if a fault came in between.
  bool Open(Sim& io) {
    io.network().SetLatency(0ms, kMostLatency);
    auto subscribers = Bind(io, relay_host_, 1);
    auto health = Bind(io, relay_host_, 2);
    auto upstreams = Bind(io, source_host_, 3);
    if (!subscribers.ok() || !health.ok() || !upstreams.ok()) return false;
    config_.source = upstreams->local_address();
    sources_.emplace(*std::move(upstreams), ledger_);
    audience_.emplace(subscribers->local_address(), ledger_);
    relay_.emplace(io, config_,
                   Doors{std::make_unique<MemoryLog>(ledger_),
                         *std::move(subscribers), *std::move(health)});
    return Start(io);
  }

  explicit Stage(Sim& io)
      : relay_host_(io.network().AddHost("relay")),
        source_host_(io.network().AddHost("sources")),
        reader_host_(io.network().AddHost("readers")),
        source_tasks_(io),
        readers_(io) {
    config_.upstreams = kUpstreams;
    config_.connecting = 2;
    config_.silence_timeout = 5s;
    config_.retry = {.first = 100ms, .most = 2s, .healthy = 1s};
    config_.event_queue = 4;
    config_.subscriber_queue = kSubscriberQueue;
    config_.subscriber_buffer = kBuffer;
    config_.stop_within = kStopWithin;
    config_.fault_reports = 0;
  }

  // Lets something happen between the relay and the upstreams.
  void MakeTrouble(Sim& io) {
    constexpr std::array<weft::Duration, 4> kSpans = {10ms, 500ms, 7s, 40s};
    weft::sim::Network& network = io.network();
    Pause(io, 150ms);
    switch (io.Random() % 4) {
      case 0:
        return network.ResetConnections(relay_host_, source_host_);
      case 1:
        network.Partition(relay_host_, source_host_);
        break;
      case 2:
        network.PartitionOneWay(relay_host_, source_host_);
        break;
      default:
        network.PartitionOneWay(source_host_, relay_host_);
    }
    Pause(io, kSpans.at(io.Random() % kSpans.size()));
    network.Heal(relay_host_, source_host_);
  }

  // For up to `most`.
  static void Pause(Sim& io, weft::Duration most) {
    const auto random = static_cast<int64_t>(io.Random() >> 1);
    (void)weft::Sleep(io, weft::Duration(random % (most.count() + 1)));
  }

  // False if the relay is not through within `span`.
  bool AwaitEnd(Sim& io, weft::Duration span) {
    return over_.WaitFor(io, span).ok();
  }

  // What the relay returned, after which it is gone, as a process is; all
  // others end with it.
  absl::Status Close(Sim& io) {
    absl::Status status = (*running_)->Await(io);
    figures_ = relay_->fan_out_figures(io);
    relay_.reset();
    (void)readers_.Await(io);
    source_tasks_.Cancel();
    (void)source_tasks_.Await(io);
    return status;
  }

  void StopRelay() { relay_->Stop(); }

  // Lets one more subscriber join after up to `most`; before Close.
  void JoinWithin(Sim& io, weft::Duration most) {
    const OnHost on(io, reader_host_);
    readers_.Spawn({.name = "late"}, [this, most](Sim& own) {
      Pause(own, most);
      audience_->ReadLate(own);
    });
  }

  // After Close.
  weft::MonotonicTime over_at() const { return over_at_; }
  const FanOutFigures& figures() const { return figures_; }
  const Audience& audience() const { return *audience_; }
  const Ledger& ledger() const { return ledger_; }

 private:
  static absl::StatusOr<TcpListener> Bind(Sim& io, Host host, uint16_t port) {
    const OnHost on(io, host);
    const std::string address = io.network().Address(host, port);
    return TcpListener::Bind(io, SocketAddress::Parse(address).value());
  }

  bool Start(Sim& io) {
    {
      const OnHost on(io, source_host_);
      source_tasks_.Spawn({.name = "sources"},
                          [this](Sim& own) { sources_->Run(own); });
    }
    {
      const OnHost on(io, relay_host_);
      running_.emplace(
          weft::Concurrent(io, {.name = "relay"}, [this](Sim& own) {
            absl::Status status = relay_->Run(own);
            over_at_ = own.Now();
            over_.Set(own);
            return status;
          }));
      if (!running_->ok()) return false;
    }
    const OnHost on(io, reader_host_);
    for (size_t i = 0; i < Audience::kHealthy; ++i) {
      readers_.Spawn({.name = "reader"},
                     [this, i](Sim& own) { audience_->Read(own, i); });
    }
    readers_.Spawn({.name = "leaver"},
                   [this](Sim& own) { audience_->Leave(own); });
    readers_.Spawn({.name = "slow"},
                   [this](Sim& own) { audience_->Dawdle(own); });
    // With a fault, somebody may never join.
    (void)audience_->AwaitJoined(io);
    sources_->Start(io);
    return true;
  }

  const Host relay_host_;
  const Host source_host_;
  const Host reader_host_;
  Config config_;
  Ledger ledger_;
  weft::Event<Sim> over_;
  weft::MonotonicTime over_at_;  // once it is set
  std::optional<Sources> sources_;
  std::optional<Audience> audience_;
  std::optional<Relay<Sim>> relay_;
  FanOutFigures figures_;
  weft::TaskGroup<Sim> source_tasks_;
  std::optional<absl::StatusOr<weft::Future<absl::Status, Sim>>> running_;
  weft::TaskGroup<Sim> readers_;
};

void DeliverEverything(Sim& io) {
  Stage stage(io);
  ASSERT_TRUE(stage.Open(io));
  for (int i = 0; i < 3; ++i) stage.MakeTrouble(io);
  EXPECT_TRUE(stage.AwaitEnd(io, 10min));
  const absl::Status status = stage.Close(io);
  EXPECT_TRUE(status.ok()) << status;

  EXPECT_EQ(stage.ledger().events.size(), kAllEvents);
  EXPECT_EQ(stage.ledger().synced, kAllEvents);
  for (size_t i = 0; i < Audience::kHealthy; ++i) {
    EXPECT_EQ(stage.audience().received(i), kAllEvents);
    EXPECT_TRUE(stage.audience().had_the_end(i));
  }
  EXPECT_TRUE(stage.audience().was_cut());
  // Those who read get the rest at once, and nobody waits for the slow one.
  EXPECT_LE(stage.over_at() - stage.ledger().synced_at, 100ms);
  const FanOutFigures& figures = stage.figures();
  EXPECT_EQ(figures.delivered,
            std::vector<uint64_t>(Audience::kHealthy, kAllEvents));
  EXPECT_EQ(figures.cut, 1u);
  EXPECT_EQ(figures.left, 1u);
}

void StopAnyTime(Sim& io) {
  Stage stage(io);
  ASSERT_TRUE(stage.Open(io));
  if (io.Random() % 2 == 0) stage.MakeTrouble(io);
  Stage::Pause(io, 400ms);
  const weft::MonotonicTime stopped = io.Now();
  stage.StopRelay();
  EXPECT_TRUE(stage.AwaitEnd(io, 2 * kStopWithin));
  // The log takes a little while to be closed.
  EXPECT_LE(io.Now() - stopped, kStopWithin + 100ms);
  const absl::Status status = stage.Close(io);
  EXPECT_TRUE(status.ok()) << status;

  const size_t logged = stage.ledger().events.size();
  EXPECT_EQ(stage.ledger().synced, logged);
  for (size_t i = 0; i < Audience::kHealthy; ++i) {
    EXPECT_EQ(stage.audience().received(i), logged);
    EXPECT_TRUE(stage.audience().had_the_end(i));
  }
  const FanOutFigures& figures = stage.figures();
  EXPECT_EQ(figures.delivered.size() + figures.cut + figures.left,
            Audience::kHealthy + 2);
}

// Subscribers come while events flow, while the relay ends and afterwards.
Audience::Late JoinLate(Sim& io) {
  constexpr int kLate = 3;
  Stage stage(io);
  if (!stage.Open(io)) {
    ADD_FAILURE() << "does not open";
    return {};
  }
  for (int i = 0; i < kLate; ++i) stage.JoinWithin(io, 1s);
  EXPECT_TRUE(stage.AwaitEnd(io, 1min));
  const absl::Status status = stage.Close(io);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(stage.ledger().events.size(), kAllEvents);
  const Audience::Late& late = stage.audience().late();
  EXPECT_EQ(late.early + late.welcome + late.refused, kLate);
  return late;
}

// What a subscriber gets is right, if it gets anything, and what is
// acknowledged is logged: Audience and Sources check that.
void BearFaults(Sim& io, bool only_operations) {
  Stage stage(io);
  if (!stage.Open(io)) return;
  stage.MakeTrouble(io);
  // Upstreams that are gone for good are waited for until somebody stops it.
  const bool ended = stage.AwaitEnd(io, 5min);
  if (!ended) stage.StopRelay();
  const absl::Status status = stage.Close(io);
  const Ledger& ledger = stage.ledger();
  if (status.ok()) {
    EXPECT_EQ(ledger.synced, ledger.events.size());
  }
  if (!only_operations) return;
  // No connection is so bad that the next one could not make up for it.
  EXPECT_TRUE(ended);
  if (status.ok()) {
    EXPECT_EQ(ledger.events.size(), kAllEvents);
  }
}

void Explore(uint64_t schedules, const weft::sim::FaultOptions& faults,
             const std::function<void(Sim&)>& body) {
  const ExploreResult result = weft::sim::Explore({.schedules = schedules,
                                                   .faults = faults,
                                                   .unfair_steps = 50'000,
                                                   .max_steps = 2'000'000},
                                                  body);
  EXPECT_EQ(result.schedules, schedules);
}

TEST(RelaySim, EveryHealthySubscriberGetsEveryEventOnceAndInOrder) {
  Explore(500, {}, DeliverEverything);
}

TEST(RelaySim, StopIsBoundedAndDeliversWhatIsLogged) {
  Explore(500, {}, StopAnyTime);
}

TEST(RelaySim, SubscriberThatJoinsLateGetsAllFromThereOn) {
  Audience::Late all;
  Explore(300, {}, [&](Sim& io) {
    const Audience::Late late = JoinLate(io);
    all.early += late.early;
    all.welcome += late.welcome;
    all.refused += late.refused;
  });
  // All of it was tried.
  EXPECT_GT(all.early, 0u);
  EXPECT_GT(all.welcome, 0u);
  EXPECT_GT(all.refused, 0u);
}

TEST(RelaySim, FailedCallsCostConnectionsAndNoEvents) {
  Explore(300, {.operations = true, .probability = 0.01},
          [](Sim& io) { BearFaults(io, /*only_operations=*/true); });
}

// Each start in turn. It once went on for ever when a task of its own was
// refused.
TEST(RelaySim, ATaskThatCannotBeStartedDoesNotHangIt) {
  Explore(200, {.starts = true},
          [](Sim& io) { BearFaults(io, /*only_operations=*/false); });
}

TEST(RelaySim, NoFaultMakesItBreakItsWord) {
  Explore(300,
          {.operations = true,
           .cancels = true,
           .deadlines = true,
           .starts = true,
           .probability = 0.001},
          [](Sim& io) { BearFaults(io, /*only_operations=*/false); });
}

}  // namespace
}  // namespace relay
