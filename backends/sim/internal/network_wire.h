// What lies between the sockets of the simulated network: hosts, the paths
// between them, and the bytes on their way.
#ifndef WEFT_BACKENDS_SIM_INTERNAL_NETWORK_WIRE_H_
#define WEFT_BACKENDS_SIM_INTERNAL_NETWORK_WIRE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "weft/backends/sim/internal/network_connection.h"
#include "weft/backends/sim/network.h"
#include "weft/runtime/clock.h"
#include "weft/runtime/internal/rng.h"

namespace weft::sim {

class Scheduler;

class Wire {
 public:
  // How long TCP tries, with Linux's defaults for tcp_syn_retries and
  // tcp_retries2.
  static constexpr Duration kConnectTimeout = std::chrono::seconds(127);
  static constexpr Duration kSendTimeout = std::chrono::milliseconds(924'600);

  explicit Wire(Scheduler& scheduler) : scheduler_(scheduler) {}

  void Begin(uint64_t seed);

  // --- Hosts --------------------------------------------------------------

  struct HostState {
    std::string name;
    bool up = true;
  };
  // Hosts are numbered from 0, which is there from the beginning.
  uint32_t AddHost(std::string name);
  HostState& host(uint32_t number) { return hosts_[number]; }
  uint32_t hosts() const { return static_cast<uint32_t>(hosts_.size()); }
  // The addresses of a host, apart from loopback: 10.0.0.1 and fd00::1 for
  // host 0.
  static IpAddress V4Of(uint32_t host);
  static IpAddress V6Of(uint32_t host);
  bool Owns(uint32_t host, const IpAddress& ip) const;
  std::optional<uint32_t> OwnerOf(const IpAddress& ip) const;
  // An address of the network that hosts are in.
  static bool IsNear(const IpAddress& ip);

  // --- Paths --------------------------------------------------------------

  void SetLatency(Duration shortest, Duration longest);
  void SetSplitting(Splitting splitting) { splitting_ = splitting; }
  bool IsOpen(uint32_t from, uint32_t to) const;
  void Cut(uint32_t from, uint32_t to);
  void Heal(uint32_t from, uint32_t to);
  Duration DrawLatency(uint32_t from, uint32_t to);
  // How much of `size` bytes, which are not none, goes at once.
  size_t Split(size_t size);
  // 0 to `bound` - 1.
  uint32_t Draw(uint32_t bound) { return random_.Below(bound); }
  // Tasks that connect wait on this for a change of paths or listeners.
  const void* connecters() const { return &hosts_; }
  void WakeConnecters();

  // --- Connections --------------------------------------------------------

  void Add(const std::shared_ptr<Connection>& connection);
  // Sends what there is to send and room for.
  void Transmit(const EndPointer& from);
  // Breaks this end, and the other one as soon as it hears of it.
  void Reset(const EndPointer& end);
  // Begins to count the time without progress anew.
  void Watch(const EndPointer& end);
  // The host is up again.
  void Restart(uint32_t host);
  // Loses all connections of a host without a word.
  void Forget(uint32_t host);
  void ResetAll(uint32_t a, uint32_t b);

  // --- Time ---------------------------------------------------------------

  MonotonicTime NextEvent() const {
    return events_.empty() ? kNever : events_.begin()->first.first;
  }
  void Advance(MonotonicTime now);

  void WakeAll(const End& end);
  void Wake(const void* what);

 private:
  void At(MonotonicTime when, std::function<void()> what);
  void Send(const EndPointer& from, size_t size);
  void SendEnd(const EndPointer& from);
  void Arrive(const EndPointer& to, const char* data, size_t size);
  void ArriveEnd(const EndPointer& to);
  void ArriveReset(const EndPointer& to);
  void SendReset(const EndPointer& from);
  void Acknowledge(End& from, size_t size);
  void Break(End& end, int error);
  MonotonicTime ArrivalTime(End& from);
  void WatchBetween(uint32_t a, uint32_t b);
  static bool Pending(const End& end);
  void LookAfter(const EndPointer& end, uint64_t progress, uint64_t watch);
  template <class Fn>
  void ForEachBetween(uint32_t a, uint32_t b, Fn fn);

  Scheduler& scheduler_;
  internal::Rng random_{0};
  std::vector<HostState> hosts_;
  std::set<std::pair<uint32_t, uint32_t>> cuts_;
  Duration shortest_{};
  Duration longest_{};
  Splitting splitting_ = Splitting::kRandom;
  std::vector<std::weak_ptr<Connection>> connections_;
  size_t prune_at_ = 0;
  // By time, and first come, first served.
  std::map<std::pair<MonotonicTime, uint64_t>, std::function<void()>> events_;
  uint64_t next_event_ = 0;
};

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_INTERNAL_NETWORK_WIRE_H_
