// The control words of floating-point arithmetic that a function has to
// preserve, read and written by hand: a compiler may move its own functions for
// this.
#ifndef WEFT_TESTS_SWITCH_ARCH_CONTROL_WORDS_H_
#define WEFT_TESTS_SWITCH_ARCH_CONTROL_WORDS_H_

#include <cfenv>
#include <cstdint>

namespace weft::switches {

// MXCSR without its flags of what has happened and the x87 control word; FPCR;
// elsewhere the rounding mode.
struct ControlWords {
#if defined(__x86_64__)
  uint32_t mxcsr;
  uint16_t x87;
#else
  uint64_t word;
#endif

  friend bool operator==(const ControlWords&, const ControlWords&) = default;
};

inline ControlWords ReadControlWords() {
  ControlWords words = {};
#if defined(__x86_64__)
  asm volatile("stmxcsr %0" : "=m"(words.mxcsr) : : "memory");
  asm volatile("fnstcw %0" : "=m"(words.x87) : : "memory");
  words.mxcsr &= 0xffc0;
#elif defined(__aarch64__)
  asm volatile("mrs %0, fpcr" : "=r"(words.word) : : "memory");
#else
  words.word = static_cast<uint64_t>(std::fegetround());
#endif
  return words;
}

inline void WriteControlWords(const ControlWords& words) {
#if defined(__x86_64__)
  asm volatile("ldmxcsr %0" : : "m"(words.mxcsr) : "memory");
  asm volatile("fldcw %0" : : "m"(words.x87) : "memory");
#elif defined(__aarch64__)
  asm volatile("msr fpcr, %0" : : "r"(words.word) : "memory");
#else
  std::fesetround(static_cast<int>(words.word));
#endif
}

// As a process starts, and two that differ from it and from each other.
#if defined(__x86_64__)
inline constexpr ControlWords kUsualWords = {.mxcsr = 0x1f80, .x87 = 0x37f};
// Flushes to zero, single precision; takes denormals for zero, double.
inline constexpr ControlWords kUnusualWords[] = {
    {.mxcsr = 0x9f80, .x87 = 0x07f}, {.mxcsr = 0x1fc0, .x87 = 0x27f}};
#elif defined(__aarch64__)
inline constexpr ControlWords kUsualWords = {.word = 0};
// Flushes to zero; makes every NaN the default one.
inline constexpr ControlWords kUnusualWords[] = {{.word = uint64_t{1} << 24},
                                                 {.word = uint64_t{1} << 25}};
#else
inline constexpr ControlWords kUsualWords = {.word = FE_TONEAREST};
inline constexpr ControlWords kUnusualWords[] = {{.word = FE_UPWARD},
                                                 {.word = FE_TOWARDZERO}};
#endif

}  // namespace weft::switches

#endif  // WEFT_TESTS_SWITCH_ARCH_CONTROL_WORDS_H_
