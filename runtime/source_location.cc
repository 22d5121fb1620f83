#include "weft/runtime/source_location.h"

#include "absl/strings/str_cat.h"

namespace weft {

std::string ToString(SourceLocation where) {
  if (where.file == nullptr) return "an unknown place";
  return absl::StrCat(where.file, ":", where.line);
}

}  // namespace weft
