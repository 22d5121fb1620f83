#include "weft/runtime/internal/check.h"

#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/internal/current.h"
#include "weft/runtime/internal/write_error.h"
#include "weft/runtime/task.h"

namespace weft::internal {
namespace {

[[noreturn]] void Die(const std::string& line) {
  if (current_explorer != nullptr) current_explorer->CheckFailed(line);
  WriteError(line);
  std::abort();
}

}  // namespace

void Misuse(std::string_view what) {
  const Task* task = current.task;
  Die(absl::StrCat(
      "weft: misuse: ", absl::string_view(what.data(), what.size()),
      task == nullptr ? "" : " (in task '", task == nullptr ? "" : task->name(),
      task == nullptr ? "" : "')", "\n"));
}

void Bug(const char* condition, const char* file, int line) {
  Die(absl::StrCat("weft: internal error: ", condition, " does not hold at ",
                   file, ":", line, "\n"));
}

}  // namespace weft::internal
