#include "weft/backends/run.h"

#include <errno.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "weft/runtime/stack_use.h"

namespace weft::internal {

void PrintError(const absl::Status& status) {
  const std::string line =
      absl::StrCat(program_invocation_short_name, ": ", status.message(), "\n");
  // Nothing can be done if standard error is closed.
  [[maybe_unused]] const ssize_t written =
      write(STDERR_FILENO, line.data(), line.size());
}

void PrintStackUse() {
  for (const StackUse& use : StackUseReport()) {
    const std::string line = absl::StrCat("weft: ", ToString(use), "\n");
    [[maybe_unused]] const ssize_t written =
        write(STDERR_FILENO, line.data(), line.size());
  }
}

}  // namespace weft::internal
