// Checker: a well-behaved subscriber that checks what it gets.
#ifndef WEFT_EXAMPLES_RELAY_SOURCE_CHECKER_H_
#define WEFT_EXAMPLES_RELAY_SOURCE_CHECKER_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "weft/examples/relay/frame.h"
#include "weft/examples/relay/frame_reader.h"
#include "weft/examples/relay/source/latency.h"
#include "weft/net/tcp_stream.h"
#include "weft/runtime/io.h"

namespace relay {

class Checker {
 public:
  Checker(weft::net::TcpStream stream, uint64_t upstreams);
  Checker(const Checker&) = delete;
  Checker& operator=(const Checker&) = delete;

  // Waits until the relay has noted the subscription: all events that are sent
  // from then on will come.
  absl::Status AwaitWelcome(weft::Io& io);

  // Takes events to the end of the stream.
  absl::Status Run(weft::Io& io);

  uint64_t delivered() const { return delivered_; }
  // Events out of the global order, or out of that of their upstream, and an
  // end that does not fit the last event.
  uint64_t order_errors() const { return order_errors_; }
  uint64_t checksum_errors() const { return checksum_errors_; }
  // Stands for what came in which order: equal for equal deliveries.
  uint64_t digest() const { return digest_; }
  // The last event of one of the upstreams; 0 if there was none.
  uint64_t last_sequence(uint32_t upstream) const {
    return last_sequence_[upstream];
  }
  const Latencies& latencies() const { return latencies_; }

 private:
  void Check(const Message& event);

  weft::net::TcpStream stream_;
  FrameReader reader_;
  uint64_t last_order_ = 0;
  std::vector<uint64_t> last_sequence_;  // of each upstream
  uint64_t delivered_ = 0;
  uint64_t order_errors_ = 0;
  uint64_t checksum_errors_ = 0;
  uint64_t digest_ = 0;
  Latencies latencies_;
};

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_SOURCE_CHECKER_H_
