// SlowReader: a subscriber that reads too slowly on purpose, so that the relay
// has to cut it off.
#ifndef WEFT_EXAMPLES_RELAY_SOURCE_SLOW_READER_H_
#define WEFT_EXAMPLES_RELAY_SOURCE_SLOW_READER_H_

#include <atomic>
#include <utility>

#include "absl/status/status.h"
#include "weft/net/tcp_stream.h"
#include "weft/runtime/io.h"

namespace relay {

class SlowReader {
 public:
  explicit SlowReader(weft::net::TcpStream stream)
      : stream_(std::move(stream)) {}

  // Waits until the relay has noted the subscription.
  absl::Status AwaitWelcome(weft::Io& io);

  // Reads slowly until the connection ends.
  void Run(weft::Io& io);

  // Makes it read as fast as it can from now on. Any task.
  void HurryUp() { slow_ = false; }

  // Whether the relay broke the connection, rather than end it.
  bool was_cut() const { return was_cut_; }

 private:
  weft::net::TcpStream stream_;
  std::atomic<bool> slow_{true};
  bool was_cut_ = false;
};

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_SOURCE_SLOW_READER_H_
