// Deep frames.
#ifndef WEFT_TESTS_SWITCH_DEEP_H_
#define WEFT_TESTS_SWITCH_DEEP_H_

#include <cstddef>
#include <cstdint>

#include "weft/tests/switch/adapter.h"

namespace weft::switches {

// Calls `at_depth(local)` with at least `bytes` of the stack taken, each page
// of them touched; `local` is an address in the deepest frame.
template <class Function>
[[gnu::noinline]] void Dive(size_t bytes, const Function& at_depth,
                            uintptr_t top = 0) {
  volatile char frame[256];
  frame[0] = 1;
  const auto here = Opaque(reinterpret_cast<uintptr_t>(&frame));
  if (top == 0) top = here;
  if (top - here < bytes) {
    Dive(bytes, at_depth, top);
  } else {
    at_depth(here);
  }
  // After the call, so that it stays one.
  Expect(frame[0] == 1, "a frame was overwritten");
}

}  // namespace weft::switches

#endif  // WEFT_TESTS_SWITCH_DEEP_H_
