#include "weft/backends/sim/internal/network_wire.h"

#include <algorithm>
#include <cerrno>
#include <string>

#include "weft/backends/sim/internal/scheduler.h"

namespace weft::sim {
namespace {

constexpr size_t kFewConnections = 64;

}  // namespace

void Wire::Begin(uint64_t seed) {
  random_ = internal::Rng(seed);
  hosts_.clear();
  hosts_.push_back({.name = "localhost"});
  cuts_.clear();
  shortest_ = longest_ = Duration(0);
  splitting_ = Splitting::kRandom;
  events_.clear();
  next_event_ = 0;
  connections_.clear();
  prune_at_ = kFewConnections;
}

// --- Hosts -----------------------------------------------------------------

uint32_t Wire::AddHost(std::string name) {
  hosts_.push_back({.name = std::move(name)});
  return hosts() - 1;
}

IpAddress Wire::V4Of(uint32_t host) {
  return IpAddress::V4(10, 0, static_cast<uint8_t>((host + 1) >> 8),
                       static_cast<uint8_t>(host + 1));
}

IpAddress Wire::V6Of(uint32_t host) {
  std::array<uint8_t, 16> bytes{};
  bytes[0] = 0xfd;
  bytes[14] = static_cast<uint8_t>((host + 1) >> 8);
  bytes[15] = static_cast<uint8_t>(host + 1);
  return IpAddress(bytes);
}

bool Wire::Owns(uint32_t host, const IpAddress& ip) const {
  return ip.IsLoopback() || ip == V4Of(host) || ip == V6Of(host);
}

std::optional<uint32_t> Wire::OwnerOf(const IpAddress& ip) const {
  for (uint32_t host = 0; host < hosts(); ++host) {
    if (ip == V4Of(host) || ip == V6Of(host)) return host;
  }
  return std::nullopt;
}

bool Wire::IsNear(const IpAddress& ip) {
  const std::array<uint8_t, 16>& bytes = ip.bytes();
  return ip.IsV4() ? bytes[12] == 10 && bytes[13] == 0 : bytes[0] == 0xfd;
}

// --- Paths -----------------------------------------------------------------

void Wire::SetLatency(Duration shortest, Duration longest) {
  shortest_ = shortest;
  longest_ = longest;
}

bool Wire::IsOpen(uint32_t from, uint32_t to) const {
  return hosts_[from].up && hosts_[to].up && !cuts_.contains({from, to});
}

template <class Fn>
void Wire::ForEachBetween(uint32_t a, uint32_t b, Fn fn) {
  // What `fn` does may add connections or lose some.
  const std::vector<std::weak_ptr<Connection>> all = connections_;
  for (const std::weak_ptr<Connection>& weak : all) {
    const std::shared_ptr<Connection> connection = weak.lock();
    if (connection == nullptr) continue;
    for (size_t i = 0; i < 2; ++i) {
      const EndPointer end(connection, i);
      if (end->host == a && end.peer()->host == b) fn(end);
    }
  }
}

void Wire::Cut(uint32_t from, uint32_t to) {
  cuts_.emplace(from, to);
  WatchBetween(from, to);
  WatchBetween(to, from);
}

void Wire::WatchBetween(uint32_t a, uint32_t b) {
  ForEachBetween(a, b, [&](const EndPointer& end) {
    if (Pending(*end) && !end->watched) Watch(end);
  });
}

void Wire::Heal(uint32_t from, uint32_t to) {
  cuts_.erase({from, to});
  if (!IsOpen(from, to)) return;
  ForEachBetween(to, from, [&](const EndPointer& end) {
    Acknowledge(*end, std::exchange(end->unacknowledged, 0));
    Transmit(end);
  });
  ForEachBetween(from, to, [&](const EndPointer& end) { Transmit(end); });
  WakeConnecters();
}

Duration Wire::DrawLatency(uint32_t from, uint32_t to) {
  if (from == to || longest_ == Duration(0)) return Duration(0);
  const auto span = static_cast<uint64_t>((longest_ - shortest_).count());
  return shortest_ +
         Duration(static_cast<int64_t>(random_.Next() % (span + 1)));
}

size_t Wire::Split(size_t size) {
  switch (splitting_) {
    case Splitting::kNone:
      return size;
    case Splitting::kBytes:
      return 1;
    case Splitting::kRandom:
      break;
  }
  // Now and then, so that large transfers stay fast.
  if (size == 1 || random_.Below(4) != 0) return size;
  return 1 + static_cast<size_t>(random_.Next() % size);
}

void Wire::WakeConnecters() { Wake(connecters()); }

void Wire::Wake(const void* what) { scheduler_.WakeBlocked(what); }

void Wire::WakeAll(const End& end) {
  Wake(end.readers());
  Wake(end.writers());
  Wake(end.pollers());
}

// --- Time ------------------------------------------------------------------

void Wire::At(MonotonicTime when, std::function<void()> what) {
  events_.emplace(std::pair(when, next_event_++), std::move(what));
}

void Wire::Advance(MonotonicTime now) {
  while (NextEvent() <= now) {
    // It may add others.
    const std::function<void()> what = std::move(events_.begin()->second);
    events_.erase(events_.begin());
    what();
  }
}

MonotonicTime Wire::ArrivalTime(End& from) {
  const uint32_t to = from.peer_host;
  from.last_arrival = std::max(from.last_arrival,
                               scheduler_.now() + DrawLatency(from.host, to));
  return from.last_arrival;
}

// --- Connections -----------------------------------------------------------

void Wire::Add(const std::shared_ptr<Connection>& connection) {
  if (connections_.size() >= prune_at_) {
    std::erase_if(connections_,
                  [](const auto& weak) { return weak.expired(); });
    prune_at_ = std::max(kFewConnections, 2 * connections_.size());
  }
  connections_.push_back(connection);
}

void Wire::Transmit(const EndPointer& from) {
  End& self = *from;
  while (!self.broken && !self.unsent.empty() &&
         IsOpen(self.host, self.peer_host)) {
    const End& peer = *from.peer();
    const size_t waiting =
        peer.received.size() + self.in_flight + self.unacknowledged;
    // Nobody is there to fill a window: the answer will be a reset.
    const size_t room =
        peer.gone || peer.broken
            ? self.unsent.size()
            : peer.receive_limit - std::min(waiting, peer.receive_limit);
    const size_t size = std::min(room, self.unsent.size());
    if (size == 0) break;
    const bool local = longest_ == Duration(0) || self.host == self.peer_host;
    Send(from, local ? size : Split(size));
  }
  if (self.end_wanted && !self.end_sent && !self.broken &&
      self.unsent.empty() && IsOpen(self.host, self.peer_host)) {
    SendEnd(from);
  }
  if (Pending(self) && !self.watched) Watch(from);
}

void Wire::Send(const EndPointer& from, size_t size) {
  End& self = *from;
  const MonotonicTime when = ArrivalTime(self);
  if (when <= scheduler_.now()) {
    const EndPointer to = from.peer();
    self.in_flight += size;
    Arrive(to, self.unsent.data(), size);
    // A reset that came back has cleared it.
    if (!self.unsent.empty()) self.unsent.Pop(size);
    return;
  }
  self.in_flight += size;
  At(when,
     [this, to = from.peer(), bytes = std::string(self.unsent.data(), size)] {
       Arrive(to, bytes.data(), bytes.size());
     });
  self.unsent.Pop(size);
}

void Wire::Arrive(const EndPointer& to, const char* data, size_t size) {
  const EndPointer from = to.peer();
  from->in_flight -= std::min(from->in_flight, size);
  if (to->gone || to->broken) {
    SendReset(to);
    return;
  }
  to->received.Push(data, size);
  Wake(to->readers());
  Wake(to->pollers());
  if (IsOpen(to->host, from->host)) {
    Acknowledge(*from, size);
  } else {
    from->unacknowledged += size;
  }
}

void Wire::Acknowledge(End& from, size_t size) {
  if (size == 0) return;
  ++from.progress;
  Wake(from.writers());
  Wake(from.pollers());
}

void Wire::SendEnd(const EndPointer& from) {
  from->end_sent = true;
  const MonotonicTime when = ArrivalTime(*from);
  if (when <= scheduler_.now()) {
    ArriveEnd(from.peer());
  } else {
    At(when, [this, to = from.peer()] { ArriveEnd(to); });
  }
}

void Wire::ArriveEnd(const EndPointer& to) {
  if (to->broken) return;
  const EndPointer from = to.peer();
  from->end_delivered = true;
  ++from->progress;
  to->end_received = true;
  WakeAll(*to);
  WakeAll(*from);
}

void Wire::SendReset(const EndPointer& from) {
  // It is not repeated: where the path is cut, it is lost.
  if (!IsOpen(from->host, from->peer_host)) return;
  const MonotonicTime when = ArrivalTime(*from);
  if (when <= scheduler_.now()) {
    ArriveReset(from.peer());
  } else {
    At(when, [this, to = from.peer()] { ArriveReset(to); });
  }
}

void Wire::ArriveReset(const EndPointer& to) {
  if (to->broken || to->finished()) return;
  // As tcp_reset: in CLOSE_WAIT it is EPIPE.
  Break(*to, to->end_received ? EPIPE : ECONNRESET);
}

void Wire::Reset(const EndPointer& end) {
  if (end->broken) return;
  Break(*end, 0);
  SendReset(end);
}

void Wire::Break(End& end, int error) {
  end.broken = true;
  end.error = error;
  end.unsent.Clear();
  end.in_flight = end.unacknowledged = 0;
  WakeAll(end);
}

bool Wire::Pending(const End& end) {
  return !end.broken &&
         (!end.unsent.empty() || end.in_flight + end.unacknowledged > 0 ||
          (end.end_wanted && !end.end_delivered));
}

void Wire::Watch(const EndPointer& end) {
  const uint64_t watch = ++end->watch;
  end->watched = false;
  Duration limit = end->user_timeout;
  if (limit == Duration(0)) {
    // A peer that answers keeps a connection alive even if it does not read.
    const bool answers =
        IsOpen(end->host, end->peer_host) && IsOpen(end->peer_host, end->host);
    if (answers) return;
    limit = kSendTimeout;
  }
  if (!Pending(*end)) return;
  end->watched = true;
  At(scheduler_.now() + limit, [this, end, watch, progress = end->progress] {
    LookAfter(end, progress, watch);
  });
}

void Wire::LookAfter(const EndPointer& end, uint64_t progress, uint64_t watch) {
  if (end->watch != watch) return;
  end->watched = false;
  if (!Pending(*end)) return;
  if (end->progress == progress) {
    Break(*end, ETIMEDOUT);
  } else {
    Watch(end);
  }
}

void Wire::Forget(uint32_t host) {
  for (uint32_t other = 0; other < hosts(); ++other) {
    ForEachBetween(host, other, [&](const EndPointer& end) {
      end->gone = true;
      Break(*end, ENETDOWN);
      end->received.Clear();
    });
    WatchBetween(other, host);
  }
}

void Wire::Restart(uint32_t host) {
  hosts_[host].up = true;
  for (uint32_t other = 0; other < hosts(); ++other) {
    ForEachBetween(other, host, [&](const EndPointer& end) { Transmit(end); });
  }
  WakeConnecters();
}

void Wire::ResetAll(uint32_t a, uint32_t b) {
  ForEachBetween(a, b, [&](const EndPointer& end) {
    for (const EndPointer& each : {end, end.peer()}) {
      if (!each->broken && !each->finished()) {
        Break(*each, each->end_received ? EPIPE : ECONNRESET);
      }
    }
  });
}

}  // namespace weft::sim
