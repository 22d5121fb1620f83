// WriteError: whole lines for standard error.
#ifndef WEFT_RUNTIME_INTERNAL_WRITE_ERROR_H_
#define WEFT_RUNTIME_INTERNAL_WRITE_ERROR_H_

#include <string_view>

namespace weft::internal {

// In one write where the kernel takes it whole, so that the lines of several
// threads do not mix. Blocks the thread while standard error is full: without
// limit, or in non-blocking mode until nobody has read for a second. Nothing
// can be done where it is closed.
void WriteError(std::string_view text);

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_INTERNAL_WRITE_ERROR_H_
