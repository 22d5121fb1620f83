// The floating-point control word of AArch64, which Boost.Context's jump does
// not save there. On x86-64 it does, and these do nothing.
#ifndef WEFT_RUNTIME_FIBER_INTERNAL_FLOAT_CONTROL_H_
#define WEFT_RUNTIME_FIBER_INTERNAL_FLOAT_CONTROL_H_

#include <cstdint>

namespace weft::internal {

inline uint64_t FloatControl() {
  uint64_t word = 0;
#if defined(__aarch64__)
  asm volatile("mrs %0, fpcr" : "=r"(word));
#endif
  return word;
}

inline void SetFloatControl([[maybe_unused]] uint64_t word) {
#if defined(__aarch64__)
  // Writing it waits for all that is computed; reading does not.
  if (word != FloatControl()) asm volatile("msr fpcr, %0" : : "r"(word));
#endif
}

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_FIBER_INTERNAL_FLOAT_CONTROL_H_
