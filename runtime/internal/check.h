// Checks that stay in release builds. Misuse of the library ends the program
// with one whole line that says what was done and how to do it right.
#ifndef WEFT_RUNTIME_INTERNAL_CHECK_H_
#define WEFT_RUNTIME_INTERNAL_CHECK_H_

#include <string_view>

namespace weft::internal {

// Writes "weft: misuse: <what> (task 'name')" to standard error in one write
// and aborts.
[[noreturn]] void Misuse(std::string_view what);

// Writes "weft: internal error: ..." and aborts: a bug of weft's own.
[[noreturn]] void Bug(const char* condition, const char* file, int line);

}  // namespace weft::internal

// A proof obligation of weft's own; not for the user's input.
#define WEFT_CHECK(condition)         \
  (__builtin_expect(!!(condition), 1) \
       ? static_cast<void>(0)         \
       : ::weft::internal::Bug(#condition, __FILE__, __LINE__))

#endif  // WEFT_RUNTIME_INTERNAL_CHECK_H_
