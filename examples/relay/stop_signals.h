// StopSignals: SIGINT and SIGTERM as something that a task can wait for.
//
//   absl::StatusOr<StopSignals> signals = StopSignals::Block();  // in main
//   ...
//   absl::StatusOr<int> signal = signals->Wait(io);              // in a task
#ifndef WEFT_EXAMPLES_RELAY_STOP_SIGNALS_H_
#define WEFT_EXAMPLES_RELAY_STOP_SIGNALS_H_

#include <utility>

#include "absl/status/statusor.h"
#include "weft/net/descriptor.h"
#include "weft/runtime/io.h"

namespace relay {

class StopSignals {
 public:
  // Keeps the signals from the calling thread and from those that it starts:
  // call it before the backend starts any.
  static absl::StatusOr<StopSignals> Block();

  // Waits for one of the signals and returns its number.
  absl::StatusOr<int> Wait(weft::Io& io);

 private:
  explicit StopSignals(weft::net::Descriptor descriptor)
      : descriptor_(std::move(descriptor)) {}

  weft::net::Descriptor descriptor_;
};

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_STOP_SIGNALS_H_
