// Deep frames.
#ifndef WEFT_TESTS_SWITCH_DEEP_H_
#define WEFT_TESTS_SWITCH_DEEP_H_

#include <cstddef>
#include <cstdint>

#include "weft/tests/switch/adapter.h"

namespace weft::switches {

// Calls `at_depth(address)` with at least `bytes` of the stack taken, each page
// of them touched; `address` is in the deepest frame.
template <class Function>
[[gnu::noinline]] void Dive(size_t bytes, const Function& at_depth,
                            uintptr_t top = 0) {
  // Not that of a local, which ASan may have elsewhere.
  const auto here =
      Opaque(reinterpret_cast<uintptr_t>(__builtin_frame_address(0)));
  volatile uintptr_t frame[32];
  for (uintptr_t i = 0; i < 32; ++i) frame[i] = here + i;
  if (top == 0) top = here;
  if (top - here < bytes) {
    Dive(bytes, at_depth, top);
  } else {
    at_depth(here);
  }
  // After the call, so that it stays one.
  for (uintptr_t i = 0; i < 32; ++i) {
    Expect(frame[i] == here + i, "a frame was overwritten");
  }
}

}  // namespace weft::switches

#endif  // WEFT_TESTS_SWITCH_DEEP_H_
