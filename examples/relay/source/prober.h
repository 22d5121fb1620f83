// Prober: asks for the relay's health again and again, each time on a new
// connection.
#ifndef WEFT_EXAMPLES_RELAY_SOURCE_PROBER_H_
#define WEFT_EXAMPLES_RELAY_SOURCE_PROBER_H_

#include <atomic>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "weft/backends/evented/evented.h"
#include "weft/examples/relay/source/latency.h"
#include "weft/net/address.h"
#include "weft/sync/mutex.h"

namespace relay {

class Prober {
 public:
  explicit Prober(const weft::net::SocketAddress& address)
      : address_(address) {}

  // Probes every 20 ms from `start` to `end`; a slow answer does not put off
  // the next probe.
  void Run(weft::Evented& io, weft::MonotonicTime start,
           weft::MonotonicTime end);

  // From connect to the end of the answer.
  Latencies latencies(weft::Evented& io) {
    weft::MutexLock lock(mutex_, io);
    return latencies_;
  }
  uint64_t failures() const { return failures_; }

 private:
  void Probe(weft::Evented& io);

  const weft::net::SocketAddress address_;
  weft::Mutex<weft::Evented> mutex_;
  Latencies latencies_ ABSL_GUARDED_BY(mutex_);
  std::atomic<uint64_t> failures_{0};
};

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_SOURCE_PROBER_H_
