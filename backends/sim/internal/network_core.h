// NetworkCore: the sockets of a Sim. network_core.cc has what never waits,
// network_perform.cc the operations.
#ifndef WEFT_BACKENDS_SIM_INTERNAL_NETWORK_CORE_H_
#define WEFT_BACKENDS_SIM_INTERNAL_NETWORK_CORE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "weft/backends/sim/internal/network_address.h"
#include "weft/backends/sim/internal/network_connection.h"
#include "weft/backends/sim/internal/network_wire.h"
#include "weft/backends/sim/internal/world.h"
#include "weft/runtime/clock.h"
#include "weft/runtime/internal/sockets.h"
#include "weft/runtime/operation.h"

namespace weft::sim {

class Scheduler;

// What a descriptor stands for.
struct Socket {
  enum class State { kNew, kListening, kConnecting, kConnected };

  State state = State::kNew;
  uint32_t host = 0;
  int family = 0;
  int status_flags = 0;      // of F_GETFL
  int descriptor_flags = 0;  // of F_GETFD
  NetworkAddress local;
  bool bound = false;
  // As they were set, by level and name.
  std::map<std::pair<int, int>, std::string> options;
  size_t send_limit = 0;
  size_t receive_limit = 0;

  // Listening.
  size_t backlog = 0;
  std::deque<EndPointer> accept_queue;

  // Connected.
  EndPointer end;

  // Calls that are in it: it is closed for good after the last of them.
  uint32_t users = 0;
  bool closed = false;
  // Its host has lost power since.
  bool dead = false;
  // Of a connect that was shut down.
  int error = 0;

  const void* accepters() const { return &accept_queue; }
  int Option(int level, int name) const;
};

class NetworkCore final : public World, public internal::Sockets {
 public:
  explicit NetworkCore(Scheduler& scheduler)
      : scheduler_(scheduler), wire_(scheduler) {}
  NetworkCore(const NetworkCore&) = delete;
  NetworkCore& operator=(const NetworkCore&) = delete;
  ~NetworkCore() = default;

  // An operation of the task that runs, from behind its scheduling point.
  int64_t Perform(const Operation& operation);

  Wire& wire() { return wire_; }
  void SetDescriptorLimit(size_t count) { descriptor_limit_ = count; }
  size_t open_descriptors() const { return open_; }
  void Kill(uint32_t host);

  // World.
  void Begin(uint64_t seed) override;
  MonotonicTime NextEvent() const override { return wire_.NextEvent(); }
  void Advance(MonotonicTime now) override { wire_.Advance(now); }
  std::string Leftovers() const override;
  std::string Describe(int fd) const override;
  internal::Sockets& sockets() override { return *this; }

  // Sockets.
  int64_t Open(const internal::SocketKind& kind) override;
  int64_t Bind(int fd, const sockaddr* address, socklen_t size) override;
  int64_t Listen(int fd, int backlog) override;
  int64_t Shutdown(int fd, int how) override;
  int64_t SetOption(int fd, const internal::SocketOption& option) override;
  int64_t GetOption(int fd, internal::SocketOptionRoom& option) override;
  int64_t LocalAddress(int fd, sockaddr* address, socklen_t* size) override;
  int64_t PeerAddress(int fd, sockaddr* address, socklen_t* size) override;
  int64_t Control(int fd, int command, int argument) override;
  int64_t Close(int fd) override;

 private:
  using SocketPointer = std::shared_ptr<Socket>;
  class Use;

  int64_t PerformOn(Socket& socket, const op::Accept& accept);
  int64_t PerformOn(Socket& socket, const op::Connect& connect);
  int64_t PerformOn(Socket& socket, const op::Recv& recv);
  int64_t PerformOn(Socket& socket, const op::Send& send);
  int64_t PerformOn(Socket& socket, const op::RecvMessage& recv);
  int64_t PerformOn(Socket& socket, const op::SendMessage& send);
  int64_t PerformOn(Socket& socket, const op::ReadAt& read);
  int64_t PerformOn(Socket& socket, const op::WriteAt& write);
  int64_t PerformOn(Socket& socket, const op::Sync& sync);
  int64_t PerformOn(Socket& socket, const op::Poll& poll);

  // Calls `attempt` until it does not return -EAGAIN, and lets the task wait
  // on what it points at in between, until `until` at most: then -ETIMEDOUT.
  // What has happened already when the scope interrupts the wait counts.
  template <class Attempt>
  int64_t Await(const Socket& socket, const char* what, Attempt attempt,
                MonotonicTime until = kNever);
  int64_t Receive(Socket& socket, iovec* pieces, size_t count, int flags);
  int64_t Transmit(Socket& socket, const iovec* pieces, size_t count,
                   int flags);
  int64_t TryReceive(Socket& socket, iovec* pieces, size_t count, int flags);
  int64_t TryTransmit(Socket& socket, const iovec* pieces, size_t count);
  int64_t TryAccept(Socket& socket, const op::Accept& accept);
  int64_t TryConnect(Socket& socket, uint32_t host, const NetworkAddress& peer);
  int64_t ConnectTo(Socket& socket, uint32_t host, const NetworkAddress& peer);
  // Waits for `span` and returns `then`, or why it ended early.
  int64_t Pause(Socket& socket, Duration span, int64_t then);
  IpAddress SourceFor(uint32_t host, const IpAddress& peer) const;
  short Events(const Socket& socket) const;

  // Others may run before the call that begins, and give its descriptor to
  // another socket; not outside of tasks.
  void ReachPoint();
  int Fault(const char* call);
  uint32_t CurrentHost() const;
  SocketPointer Find(int fd) const;
  // The lowest free descriptor, or -EMFILE.
  int64_t Install(SocketPointer socket);
  void Release(Socket& socket);
  void StopListening(Socket& socket);
  // Whether another socket's address is in the way.
  bool Conflicts(const Socket& socket, const NetworkAddress& address) const;
  // A port with which `ip` is free, or 0.
  uint16_t FreePort(const Socket& socket, const IpAddress& ip);
  // Where connections to `address` go; null if nobody listens.
  Socket* ListenerAt(uint32_t host, const NetworkAddress& address);
  int64_t SetSpecialOption(Socket& socket, const internal::SocketOption& option,
                           int value);

  Scheduler& scheduler_;
  Wire wire_;
  // By descriptor, from kFirstSimulated on; null where none is open.
  std::vector<SocketPointer> sockets_;
  size_t open_ = 0;
  size_t descriptor_limit_ = 0;
  uint16_t next_port_ = 0;
  // What the task that runs waits on if its attempt cannot succeed yet.
  const void* wait_on_ = nullptr;
};

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_INTERNAL_NETWORK_CORE_H_
