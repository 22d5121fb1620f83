// S4: rounding mode, flush-to-zero and x87 precision are in control words of
// the processor, which the ABI has a callee preserve. A switch that does not
// lets a fiber compute with the settings of another one.
#ifndef WEFT_TESTS_SWITCH_CLASSES_S04_FLOATING_POINT_H_
#define WEFT_TESTS_SWITCH_CLASSES_S04_FLOATING_POINT_H_

#include <cfenv>

#include "weft/tests/switch/adapter.h"

namespace weft::switches::s04_floating_point {

#if defined(__x86_64__)
struct Class {
  static constexpr const char* kName = "s04_floating_point";
  static constexpr bool Keeps::*kKept = &Keeps::floating_control;

  template <class Switch>
  static void Check() {
    const auto keep = [](unsigned mxcsr, unsigned short x87, int mode) {
      return [=](Flow<Switch>& self) {
        ExpectUsual();
        SetMxcsr(kUsualMxcsr | mxcsr);
        SetX87(static_cast<unsigned short>(kUsualX87 & ~x87));
        self.Pause();
        Expect(Mxcsr() == (kUsualMxcsr | mxcsr), "a fiber lost its MXCSR");
        Expect(X87() == (kUsualX87 & ~x87), "a fiber lost its x87 precision");
        SetMxcsr(kUsualMxcsr);
        SetX87(kUsualX87);
        std::fesetround(mode);
        self.Pause();
        Expect(std::fegetround() == mode, "a fiber lost its rounding mode");
      };
    };
    constexpr unsigned kFlushToZero = 0x8000;
    constexpr unsigned kDenormalsAreZero = 0x0040;
    SetMxcsr(kUsualMxcsr);
    Flow<Switch> first(keep(kFlushToZero, 0x300, FE_UPWARD));
    Flow<Switch> second(keep(kDenormalsAreZero, 0x100, FE_DOWNWARD));
    for (int i = 0; i < 3; ++i) {
      first.Resume();
      ExpectUsual();
      second.Resume();
      ExpectUsual();
    }
  }

 private:
  // As the ABI has them at the start of a process.
  static constexpr unsigned kUsualMxcsr = 0x1f80;
  static constexpr unsigned short kUsualX87 = 0x37f;

  // By hand, for the compiler may move its own functions for this.
  static unsigned Mxcsr() {
    unsigned word = 0;
    asm volatile("stmxcsr %0" : "=m"(word) : : "memory");
    return word & 0xffc0;  // without the flags of what has happened
  }
  static void SetMxcsr(unsigned word) {
    asm volatile("ldmxcsr %0" : : "m"(word) : "memory");
  }
  static unsigned short X87() {
    unsigned short word = 0;
    asm volatile("fnstcw %0" : "=m"(word) : : "memory");
    return word;
  }
  static void SetX87(unsigned short word) {
    asm volatile("fldcw %0" : : "m"(word) : "memory");
  }
  static void ExpectUsual() {
    Expect(Mxcsr() == kUsualMxcsr, "MXCSR is that of a fiber");
    Expect(X87() == kUsualX87, "the x87 control word is that of a fiber");
    Expect(std::fegetround() == FE_TONEAREST, "rounds as a fiber does");
  }
};
#else
struct Class {
  static constexpr const char* kName = "s04_floating_point";
  static constexpr bool Keeps::*kKept = &Keeps::floating_control;

  template <class Switch>
  static void Check() {
    const auto keep = [](int mode) {
      return [=](Flow<Switch>& self) {
        std::fesetround(mode);
        self.Pause();
        Expect(std::fegetround() == mode, "a fiber lost its rounding mode");
      };
    };
    Flow<Switch> first(keep(FE_UPWARD));
    Flow<Switch> second(keep(FE_DOWNWARD));
    for (int i = 0; i < 2; ++i) {
      first.Resume();
      Expect(std::fegetround() == FE_TONEAREST, "rounds as a fiber does");
      second.Resume();
      Expect(std::fegetround() == FE_TONEAREST, "rounds as a fiber does");
    }
  }
};
#endif

}  // namespace weft::switches::s04_floating_point

#endif  // WEFT_TESTS_SWITCH_CLASSES_S04_FLOATING_POINT_H_
