// Lines and bytes that leave the process through descriptors.
#ifndef WEFT_EXAMPLES_RELAY_OUTPUT_H_
#define WEFT_EXAMPLES_RELAY_OUTPUT_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "weft/runtime/io.h"

namespace relay {

// Writes all of `bytes` where the file or pipe `fd` stands. `what` is the
// subject of the error.
absl::Status WriteAll(weft::Io& io, int fd, std::string_view bytes,
                      const std::string& what);

// Writes one line to standard output.
absl::Status PrintLine(weft::Io& io, const std::string& line);

// Writes "<program>: <message>" to standard error, in one piece. Does not
// wait for a task.
void Complain(const std::string& message);
inline void Complain(const absl::Status& status) {
  Complain(std::string(status.message()));
}

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_OUTPUT_H_
