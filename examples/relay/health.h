// The health endpoint: enough HTTP for `GET /health`.
#ifndef WEFT_EXAMPLES_RELAY_HEALTH_H_
#define WEFT_EXAMPLES_RELAY_HEALTH_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "weft/net/tcp_stream.h"
#include "weft/runtime/io.h"

namespace relay {

// Reads one request and answers it: `report()` for GET /health, else an error.
// A client that takes longer than two seconds is left alone.
absl::Status AnswerHealth(weft::Io& io, weft::net::TcpStream& stream,
                          const std::function<std::string()>& report);

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_HEALTH_H_
