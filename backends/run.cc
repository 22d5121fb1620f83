#include "weft/backends/run.h"

#include <errno.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "weft/runtime/internal/write_error.h"
#include "weft/runtime/stack_use.h"

namespace weft::internal {

void PrintError(const absl::Status& status) {
  WriteError(absl::StrCat(program_invocation_short_name, ": ", status.message(),
                          "\n"));
}

void PrintStackUse() {
  for (const StackUse& use : StackUseReport()) {
    WriteError(absl::StrCat("weft: ", ToString(use), "\n"));
  }
}

}  // namespace weft::internal
