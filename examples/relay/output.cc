#include "weft/examples/relay/output.h"

#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "weft/runtime/operation.h"
#include "weft/runtime/status.h"

namespace relay {

absl::Status WriteAll(weft::Io& io, int fd, std::string_view bytes,
                      const std::string& what) {
  while (!bytes.empty()) {
    const int64_t count = io.Perform(weft::op::WriteAt{
        .fd = fd, .data = bytes.data(), .size = bytes.size()});
    if (count < 0) {
      return weft::ErrnoStatus(static_cast<int>(-count), "write " + what);
    }
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

absl::Status PrintLine(weft::Io& io, const std::string& line) {
  return WriteAll(io, STDOUT_FILENO, line + "\n", "standard output");
}

void Complain(const std::string& message) {
  const std::string line =
      absl::StrCat(program_invocation_short_name, ": ", message, "\n");
  // Nothing can be done if standard error is closed.
  [[maybe_unused]] const ssize_t written =
      write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace relay
