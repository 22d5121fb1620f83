#include "weft/backends/sim/network.h"

#include <string>
#include <utility>

#include "weft/backends/sim/internal/network_core.h"
#include "weft/backends/sim/internal/scheduler.h"
#include "weft/backends/sim/sim.h"
#include "weft/runtime/internal/check.h"
#include "weft/runtime/task.h"

namespace weft::sim {

Wire& Network::wire() const { return core_.wire(); }

Host Network::AddHost(std::string_view name) {
  return {.number = wire().AddHost(std::string(name))};
}

std::string Network::Address(Host host, uint16_t port) const {
  return NetworkAddress{.ip = Wire::V4Of(host.number), .port = port}.ToString();
}

std::string Network::AddressV6(Host host, uint16_t port) const {
  return NetworkAddress{.ip = Wire::V6Of(host.number), .port = port}.ToString();
}

void Network::SetLatency(Duration shortest, Duration longest) {
  if (shortest < Duration(0) || longest < shortest) {
    internal::Misuse(
        "Network::SetLatency takes two spans of time, the shorter "
        "one first");
  }
  wire().SetLatency(shortest, longest);
}

void Network::SetSplitting(Splitting splitting) {
  wire().SetSplitting(splitting);
}

void Network::Partition(Host a, Host b) {
  PartitionOneWay(a, b);
  PartitionOneWay(b, a);
}

void Network::PartitionOneWay(Host from, Host to) {
  wire().Cut(from.number, to.number);
}

void Network::Heal(Host a, Host b) {
  wire().Heal(a.number, b.number);
  wire().Heal(b.number, a.number);
}

void Network::ResetConnections(Host a, Host b) {
  wire().ResetAll(a.number, b.number);
}

void Network::Kill(Host host) { core_.Kill(host.number); }

void Network::Restart(Host host) { wire().Restart(host.number); }

void Network::SetDescriptorLimit(size_t count) {
  core_.SetDescriptorLimit(count);
}

size_t Network::open_descriptors() const { return core_.open_descriptors(); }

OnHost::OnHost(Sim& io, Host host)
    : io_(io),
      before_(std::exchange(io.scheduler().running()->host, host.number)) {}

OnHost::~OnHost() { io_.scheduler().running()->host = before_; }

}  // namespace weft::sim
