// A TCP connection of the simulated network: two ends and what is on its way
// between them.
//
// Bytes move at once, or after the latency of the path, as far as the receiver
// has room for them; the order is kept. A path that is cut holds back what it
// would carry until it is whole again, as TCP does by sending again. What the
// states are called, and what each call meets in them, is as in Linux 6.1
// (net/ipv4/tcp.c, tcp_input.c).
#ifndef WEFT_BACKENDS_SIM_INTERNAL_NETWORK_CONNECTION_H_
#define WEFT_BACKENDS_SIM_INTERNAL_NETWORK_CONNECTION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "weft/backends/sim/internal/network_address.h"
#include "weft/runtime/clock.h"

namespace weft::sim {

// A queue of bytes in one piece of memory.
class ByteQueue {
 public:
  size_t size() const { return bytes_.size() - begin_; }
  bool empty() const { return size() == 0; }
  const char* data() const { return bytes_.data() + begin_; }
  void Push(const char* data, size_t size) { bytes_.append(data, size); }
  void Pop(size_t size) {
    begin_ += size;
    // Moves each byte once at most, on average.
    if (begin_ * 2 < bytes_.size()) return;
    bytes_.erase(0, begin_);
    begin_ = 0;
  }
  void Clear() {
    bytes_.clear();
    begin_ = 0;
  }

 private:
  std::string bytes_;
  size_t begin_ = 0;
};

struct Connection;

struct End {
  uint32_t host = 0;
  uint32_t peer_host = 0;
  NetworkAddress local;
  NetworkAddress peer;

  ByteQueue received;  // and not read
  size_t receive_limit = 0;
  ByteQueue unsent;           // written, and still here
  size_t in_flight = 0;       // on the way to the other end
  size_t unacknowledged = 0;  // there, but this end has not heard of it
  size_t send_limit = 0;
  // When what is sent next arrives at the earliest: behind all before it.
  MonotonicTime last_arrival{};

  // The end of the stream: wanted, on its way, and at the other end.
  bool end_wanted = false;
  bool end_sent = false;
  bool end_delivered = false;
  bool end_received = false;
  bool read_shut = false;
  bool write_shut = false;
  // Its descriptor is closed, or its host lost power.
  bool gone = false;
  // The state CLOSE, after a reset or a timeout.
  bool broken = false;
  // What the next call reports; 0: nothing.
  int error = 0;

  // After so long without progress the connection breaks; 0: TCP's own limit,
  // which a peer that answers and does not read never meets.
  Duration user_timeout{};
  uint64_t progress = 0;
  // The event that looks at `progress` is that of the last watch.
  uint64_t watch = 0;
  bool watched = false;

  size_t SendRoom() const {
    const size_t used = unsent.size() + in_flight + unacknowledged;
    return used >= send_limit ? 0 : send_limit - used;
  }
  bool finished() const { return end_delivered && end_received; }

  // What tasks wait on.
  const void* readers() const { return &received; }
  const void* writers() const { return &unsent; }
  const void* pollers() const { return &local; }
};

struct Connection {
  // The end that has connected, and the one that was connected to.
  End ends[2];
};

// One end, and all of its connection kept alive.
class EndPointer {
 public:
  EndPointer() = default;
  EndPointer(std::shared_ptr<Connection> connection, size_t index)
      : connection_(std::move(connection)), index_(index) {}

  explicit operator bool() const { return connection_ != nullptr; }
  End& operator*() const { return connection_->ends[index_]; }
  End* operator->() const { return &**this; }
  EndPointer peer() const { return {connection_, 1 - index_}; }

 private:
  std::shared_ptr<Connection> connection_;
  size_t index_ = 0;
};

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_INTERNAL_NETWORK_CONNECTION_H_
