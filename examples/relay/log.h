// Log: where the frames of all events go, in their order.
#ifndef WEFT_EXAMPLES_RELAY_LOG_H_
#define WEFT_EXAMPLES_RELAY_LOG_H_

#include <string_view>

#include "absl/status/status.h"
#include "weft/runtime/io.h"

namespace relay {

class Log {
 public:
  virtual ~Log() = default;

  // Adds whole frames at the end. One task at a time.
  virtual absl::Status Append(weft::Io& io, std::string_view frames) = 0;
  // Makes what was appended durable.
  virtual absl::Status Sync(weft::Io& io) = 0;
};

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_LOG_H_
