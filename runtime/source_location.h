// SourceLocation: a place in the source, as std::source_location has it, which
// Clang 14 does not.
#ifndef WEFT_RUNTIME_SOURCE_LOCATION_H_
#define WEFT_RUNTIME_SOURCE_LOCATION_H_

#include <string>

namespace weft {

struct SourceLocation {
  // Null: unknown. Lives as long as the program.
  const char* file = nullptr;
  int line = 0;

  // As a default argument or a default member initializer: the place of the
  // call or of the initialization.
  static constexpr SourceLocation Current(const char* file = __builtin_FILE(),
                                          int line = __builtin_LINE()) {
    return {file, line};
  }
};

// "relay.cc:42", with the path that the compiler was given.
std::string ToString(SourceLocation where);

}  // namespace weft

#endif  // WEFT_RUNTIME_SOURCE_LOCATION_H_
