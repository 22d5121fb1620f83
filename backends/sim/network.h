// Network: the simulated network of a Sim, and how a test rules it.
//
//   weft::sim::Explore({}, [](weft::Sim& io) {
//     weft::sim::Network& network = io.network();
//     const weft::sim::Host server = network.AddHost("server");
//     weft::TaskGroup<weft::Sim> group(io);
//     {
//       weft::sim::OnHost on(io, server);
//       group.Spawn([](weft::Sim& io) { return Serve(io, "0.0.0.0:80"); });
//     }
//     network.Partition(network.localhost(), server);
//     ...  // connects to network.Address(server, 80)
//   });
//
// net/ reaches it by itself in every task of a Sim. Each schedule begins with
// an empty network: one host, "localhost", without latency. Listeners have
// backlogs, connections have windows, and closing, half-closing and resetting
// do what they do on Linux, errors included. A descriptor that is still open
// when a schedule ends is a failure of the schedule.
//
// **Splitting.** A read may get fewer bytes than have come, and a write may
// take fewer than there is room for; how many follows from the seed.
//
// **Time.** TCP gives up after its usual time: a connect after two minutes, a
// connection whose bytes nobody acknowledges after fifteen. Keep-alive is
// accepted, and does nothing.
//
// **Threads.** Only tasks of the Sim.
#ifndef WEFT_BACKENDS_SIM_NETWORK_H_
#define WEFT_BACKENDS_SIM_NETWORK_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "weft/runtime/clock.h"

namespace weft {
class Sim;
}  // namespace weft

namespace weft::sim {

class NetworkCore;
class Wire;

// A machine in the network. A plain value, good for one schedule.
struct Host {
  uint32_t number = 0;

  friend bool operator==(const Host&, const Host&) = default;
};

// How reads and writes are cut short.
enum class Splitting {
  kNone,    // never
  kRandom,  // now and then, anywhere
  kBytes,   // one byte at a time
};

class Network {
 public:
  explicit Network(NetworkCore& core) : core_(core) {}
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  // Where tasks run that OnHost says nothing else of.
  Host localhost() const { return {}; }
  // A further host; it is up.
  Host AddHost(std::string_view name);
  // How others reach it: "10.0.0.2:80", and "[fd00::2]:80". Loopback is every
  // host's own.
  std::string Address(Host host, uint16_t port) const;
  std::string AddressV6(Host host, uint16_t port) const;

  // Everything between two hosts is on its way for between `shortest` and
  // `longest`, in virtual time; the order within a connection stays. Both 0 at
  // first. Never for loopback.
  void SetLatency(Duration shortest, Duration longest);
  // kRandom at first.
  void SetSplitting(Splitting splitting);

  // Nothing gets from one host to the other any more, in both directions or in
  // one. What is sent waits, and arrives after a Heal, unless TCP gives up.
  void Partition(Host a, Host b);
  void PartitionOneWay(Host from, Host to);
  void Heal(Host a, Host b);

  // Resets all connections between two hosts, as a firewall does that forgets
  // them.
  void ResetConnections(Host a, Host b);

  // The host loses power: its sockets are gone, its tasks are cancelled, and
  // none of them reaches the network any more (ENETDOWN). Others hear nothing.
  void Kill(Host host);
  // It has power again, and none of the sockets that it had: who still sends
  // to one of them is told so by a reset. Its tasks have ended or will soon;
  // the test starts new ones.
  void Restart(Host host);

  // How many descriptors a host may have open; EMFILE afterwards. 2^20 at
  // first.
  void SetDescriptorLimit(size_t count);
  // How many are open now, on all hosts.
  size_t open_descriptors() const;

 private:
  Wire& wire() const;

  NetworkCore& core_;
};

// While it lives, the task that made it runs on `host`, and so do the tasks
// that it starts, to their end. Destroyed in the opposite order.
class OnHost {
 public:
  OnHost(Sim& io, Host host);
  ~OnHost();
  OnHost(const OnHost&) = delete;
  OnHost& operator=(const OnHost&) = delete;

 private:
  Sim& io_;
  const uint32_t before_;
};

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_NETWORK_H_
