// What errno holds after a wait, where a backend is made to show mistakes: no
// call of weft says anything by errno, and code that reads it after one reads
// what happens to be there.
#ifndef WEFT_RUNTIME_INTERNAL_ERRNO_MARKER_H_
#define WEFT_RUNTIME_INTERNAL_ERRNO_MARKER_H_

namespace weft::internal {

// Not an error of Linux.
inline constexpr int kErrnoMarker = 29'999;

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_INTERNAL_ERRNO_MARKER_H_
