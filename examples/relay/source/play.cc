#include "weft/examples/relay/source/play.h"

#include <unistd.h>

#include <chrono>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "weft/examples/relay/output.h"
#include "weft/examples/relay/source/actors.h"
#include "weft/examples/relay/source/checker.h"
#include "weft/examples/relay/source/gate.h"
#include "weft/examples/relay/source/prober.h"
#include "weft/examples/relay/source/slow_reader.h"
#include "weft/runtime/operation.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/status.h"
#include "weft/runtime/task_group.h"

namespace relay {
namespace {

using weft::Evented;
using weft::net::SocketAddress;
using weft::net::TcpStream;

// Start-up, draining and whatever else is not the play itself.
constexpr weft::Duration kOverhead = std::chrono::seconds(60);

struct RelayAddresses {
  SocketAddress subscribers;
  SocketAddress health;
};

absl::StatusOr<std::string> ReadLine(weft::Io& io) {
  std::string line;
  for (char next = 0; next != '\n';) {
    const int64_t count = io.Perform(
        weft::op::ReadAt{.fd = STDIN_FILENO, .data = &next, .size = 1});
    if (count < 0) {
      return weft::ErrnoStatus(static_cast<int>(-count), "read standard input");
    }
    if (count == 0) break;
    line.push_back(next);
  }
  return line;
}

// The line that the relay prints once it listens.
absl::StatusOr<RelayAddresses> ReadAddresses(weft::Io& io) {
  const absl::StatusOr<std::string> line = ReadLine(io);
  if (!line.ok()) return line.status();
  const std::vector<std::string> words =
      absl::StrSplit(*line, absl::ByAnyChar(" \n"), absl::SkipEmpty());
  if (words.size() != 4 || words[0] != "subscribers" || words[2] != "health") {
    return absl::InvalidArgumentError(
        "standard input: expected the line 'subscribers ADDRESS health "
        "ADDRESS' of the relay");
  }
  const auto subscribers = SocketAddress::Parse(words[1]);
  if (!subscribers.ok()) return subscribers.status();
  const auto health = SocketAddress::Parse(words[3]);
  if (!health.ok()) return health.status();
  return RelayAddresses{*subscribers, *health};
}

// All subscribers of the run.
struct Audience {
  std::deque<Checker> healthy;
  std::optional<SlowReader> slow;
};

absl::Status Subscribe(Evented& io, const Plan& plan,
                       const SocketAddress& address, Audience& audience) {
  for (uint64_t i = 0; i < plan.subscribers; ++i) {
    absl::StatusOr<TcpStream> stream = TcpStream::Connect(io, address);
    if (!stream.ok()) return stream.status();
    Checker& checker =
        audience.healthy.emplace_back(*std::move(stream), plan.all_upstreams());
    absl::Status status = checker.AwaitWelcome(io);
    if (!status.ok()) return status;
  }
  absl::StatusOr<TcpStream> stream = TcpStream::Connect(io, address);
  if (!stream.ok()) return stream.status();
  audience.slow.emplace(*std::move(stream));
  return audience.slow->AwaitWelcome(io);
}

// Plays the plan and tells the relay that this was all.
absl::Status PlayToTheEnd(Evented& io, const Plan& plan, Actors& actors,
                          Prober& prober) {
  const weft::MonotonicTime start = io.Now();
  weft::TaskGroup probing(io);
  probing.Spawn({.name = "prober"},
                [&] { prober.Run(io, start, start + plan.length()); });
  absl::Status status = actors.Play(io);
  status.Update(probing.Await(io));
  return status;
}

// Plays before the audience, until the relay has sent its last event.
void Perform(Evented& io, const Plan& plan, Actors& actors, Prober& prober,
             Audience& audience) {
  weft::TaskGroup slow(io);
  slow.Spawn({.name = "slow reader"}, [&] { audience.slow->Run(io); });
  weft::TaskGroup healthy(io);
  for (Checker& checker : audience.healthy) {
    healthy.Spawn({.name = "checker"}, [&] { return checker.Run(io); });
  }
  weft::TaskGroup playing(io);
  playing.Spawn({.name = "play"},
                [&] { return PlayToTheEnd(io, plan, actors, prober); });

  if (absl::Status status = healthy.Await(io); !status.ok()) Complain(status);
  // A relay that was stopped ends before the play does.
  playing.Cancel();
  if (absl::Status status = playing.Await(io); !status.ok()) Complain(status);
  audience.slow->HurryUp();
  (void)slow.Await(io);
}

struct Acknowledged {
  uint64_t events = 0;
  uint64_t lost = 0;  // deliveries of them that did not happen
};

Acknowledged CheckAcknowledged(const Plan& plan, const Actors& actors,
                               const Audience& audience) {
  Acknowledged acknowledged;
  for (uint32_t upstream = 0; upstream < plan.all_upstreams(); ++upstream) {
    const uint64_t events = actors.acknowledged(upstream);
    acknowledged.events += events;
    for (const Checker& checker : audience.healthy) {
      const uint64_t got = checker.last_sequence(upstream);
      if (got < events) acknowledged.lost += events - got;
    }
  }
  return acknowledged;
}

Outcome Judge(Evented& io, const Plan& plan, const Actors& actors,
              Prober& prober, const Audience& audience) {
  uint64_t delivered = 0;
  uint64_t order_errors = 0;
  uint64_t checksum_errors = 0;
  Latencies latencies;
  Latencies probes = prober.latencies(io);
  for (const Checker& checker : audience.healthy) {
    delivered += checker.delivered();
    order_errors += checker.order_errors();
    checksum_errors += checker.checksum_errors();
    if (checker.digest() != audience.healthy.front().digest()) ++order_errors;
    latencies.Add(checker.latencies());
  }
  const uint64_t due = actors.sent() * plan.subscribers;
  const Acknowledged acknowledged = CheckAcknowledged(plan, actors, audience);
  Outcome outcome;
  outcome.figures.Add("sent", actors.sent())
      .Add("healthy_subscribers", plan.subscribers)
      .Add("delivered", delivered)
      .Add("delivered_ratio",
           due == 0 ? 0.0
                    : static_cast<double>(delivered) / static_cast<double>(due))
      .Add("acknowledged", acknowledged.events)
      .Add("acknowledged_lost", acknowledged.lost)
      .Add("order_errors", order_errors)
      .Add("checksum_errors", checksum_errors)
      .Add("delivery_p50_us", latencies.Percentile(50))
      .Add("delivery_p99_us", latencies.Percentile(99))
      .Add("health_probes", probes.count())
      .Add("health_failures", prober.failures())
      .Add("health_p50_us", probes.Percentile(50))
      .Add("health_p99_us", probes.Percentile(99))
      .Add("slow_cut_seen", audience.slow->was_cut());
  const uint64_t errors = order_errors + checksum_errors + acknowledged.lost;
  if (delivered != due || errors > 0) {
    outcome.verdict = absl::DataLossError(
        absl::StrCat(delivered, " of ", due, " deliveries, ", order_errors,
                     " order errors, ", checksum_errors, " checksum errors, ",
                     acknowledged.lost, " lost after they were acknowledged"));
  } else if (!audience.slow->was_cut()) {
    outcome.verdict =
        absl::FailedPreconditionError("the slow subscriber was not cut off");
  }
  return outcome;
}

}  // namespace

absl::StatusOr<Outcome> Play(Evented& io, const Plan& plan) {
  const weft::Deadline limit(io, plan.length() + kOverhead);
  absl::StatusOr<Gate> gate = Gate::Make(io);
  if (!gate.ok()) return gate.status();
  absl::Status status =
      PrintLine(io, absl::StrCat("upstreams ", gate->address().ToString()));
  if (!status.ok()) return status;
  const absl::StatusOr<RelayAddresses> relay = ReadAddresses(io);
  if (!relay.ok()) return relay.status();

  Actors actors(plan);
  weft::TaskGroup keeping(io);
  keeping.Spawn({.name = "gate"}, [&] {
    const absl::Status kept = actors.KeepGate(io, *gate);
    if (!absl::IsCancelled(kept)) Complain(kept);
  });
  status = actors.AwaitConnections(io);
  Audience audience;
  if (status.ok()) status = Subscribe(io, plan, relay->subscribers, audience);
  if (!status.ok()) return status;
  Prober prober(relay->health);
  Perform(io, plan, actors, prober, audience);
  return Judge(io, plan, actors, prober, audience);
}

}  // namespace relay
