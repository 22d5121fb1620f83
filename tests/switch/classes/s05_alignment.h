// S5: a fiber is entered with a stack that is not aligned as the ABI says. Code
// that the compiler made for an aligned one faults, often only when optimised,
// and often only in a function of the C library far away.
#ifndef WEFT_TESTS_SWITCH_CLASSES_S05_ALIGNMENT_H_
#define WEFT_TESTS_SWITCH_CLASSES_S05_ALIGNMENT_H_

#include <cstdint>
#include <cstdio>
#include <cstring>

#include "weft/tests/switch/adapter.h"

namespace weft::switches::s05_alignment {

struct Class {
  static constexpr const char* kName = "s05_alignment";

  template <class Switch>
  static void Check() {
#if defined(WEFT_SWITCH_ASAN)
    Cannot("ASan aligns each frame anew");
#endif
    Flow<Switch> flow([](Flow<Switch>& self) {
      At16();
      At32And64();
      Library();
      self.Pause();
      At16();
      Library();
    });
    flow.Resume();
    flow.Resume();
    Expect(flow.ended(), "a fiber did not end");
  }

 private:
  static bool IsAligned(const volatile void* address, size_t to) {
    return Opaque(reinterpret_cast<uintptr_t>(address)) % to == 0;
  }

  // No more than the ABI gives, so that the compiler relies on it.
  [[gnu::noinline]] static void At16() {
    alignas(16) volatile double pair[2] = {1.5, 2.5};
    Expect(IsAligned(pair, 16), "the stack is not aligned to 16 bytes");
    Expect(pair[0] + pair[1] == 4, "values on the stack are wrong");
  }

  struct alignas(64) Line {
    volatile char bytes[64];
  };
  [[gnu::noinline]] static void At32And64() {
    alignas(32) volatile double four[4] = {1, 2, 3, 4};
    Line line = {};
    Expect(IsAligned(four, 32), "a local is not aligned to 32 bytes");
    Expect(IsAligned(line.bytes, 64), "a local is not aligned to 64 bytes");
    Expect(four[3] == 4 && line.bytes[63] == 0, "locals are wrong");
  }

  // Spills vector registers, with aligned stores.
  [[gnu::noinline]] static void Library() {
    volatile double number = 1.5;
    char text[64];
    std::snprintf(text, sizeof(text), "%.2f %.1Lf", number,
                  static_cast<long double>(number + 1));
    Expect(std::strcmp(text, "1.50 2.5") == 0, "printf of a double is wrong");
  }
};

}  // namespace weft::switches::s05_alignment

#endif  // WEFT_TESTS_SWITCH_CLASSES_S05_ALIGNMENT_H_
