#include "weft/runtime/internal/write_error.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace weft::internal {
namespace {

constexpr int kPatienceMilliseconds = 1000;

}  // namespace

void WriteError(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
    if (written < 0 && errno == EAGAIN) {
      // In non-blocking mode, as whoever else has the descriptor may set it:
      // a reader that is slow gets the rest, one that has stopped does not.
      pollfd error = {.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
      if (poll(&error, 1, kPatienceMilliseconds) == 0) return;
    } else if (written < 0 && errno != EINTR) {
      return;
    }
    if (written > 0) text.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace weft::internal
