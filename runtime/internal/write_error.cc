#include "weft/runtime/internal/write_error.h"

#include <unistd.h>

#include <cerrno>

namespace weft::internal {

void WriteError(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
    if (written < 0 && errno != EINTR) return;
    if (written > 0) text.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace weft::internal
