// S6: a switch written as inline assembly. The compiler believes what the
// statement says: a register that it does not name as clobbered, or the 128
// bytes below the stack pointer that a function without calls may use, hold
// what they held. Which of them does depends on every flag.
#ifndef WEFT_TESTS_SWITCH_CLASSES_S06_REGISTERS_H_
#define WEFT_TESTS_SWITCH_CLASSES_S06_REGISTERS_H_

#include <cstdint>

#include "weft/tests/switch/adapter.h"
#include "weft/tests/switch/arch/call_with_registers.h"

namespace weft::switches::s06_registers {

struct Class {
  static constexpr const char* kName = "s06_registers";

  template <class Switch>
  static void Check() {
    const auto keep = [](uint64_t seed) {
      return [seed](Flow<Switch>& self) {
        KeepRegisters<&Class::Pause<Switch>>(self, seed);
        KeepRedZone(self, seed);
        KeepValues(self, static_cast<double>(seed % 1000));
      };
    };
    Flow<Switch> first(keep(0x1111111111111000));
    Flow<Switch> second(keep(0x2222222222222000));
    for (uint64_t i = 0; i < 4; ++i) {
      KeepRegisters<&Class::Resume<Switch>>(first, 0x3333333333333000 + i);
      KeepRegisters<&Class::Resume<Switch>>(second, 0x4444444444444000 + i);
    }
    Expect(second.ended(), "a fiber did not end");
  }

 private:
  template <class Switch>
  static void Resume(void* flow) {
    static_cast<Flow<Switch>*>(flow)->Resume();
  }
  template <class Switch>
  static void Pause(void* flow) {
    static_cast<Flow<Switch>*>(flow)->Pause();
  }

  // Every register that a function has to preserve.
  template <auto kCall, class Switch>
  static void KeepRegisters(Flow<Switch>& flow, uint64_t seed) {
    Expect(PreservesRegisters(kCall, &flow, seed),
           "a callee-saved register was lost");
  }

  // No call but the switch: if that is inlined there is none, and the locals
  // may be below the stack pointer.
  template <class Switch>
  [[gnu::noinline]] static uint64_t InRedZone(Flow<Switch>& self,
                                              uint64_t seed) {
    volatile uint64_t a = seed + 1;
    volatile uint64_t b = seed + 2;
    volatile uint64_t c = seed + 3;
    volatile uint64_t d = seed + 4;
    volatile uint64_t e = seed + 5;
    volatile uint64_t f = seed + 6;
    volatile uint64_t g = seed + 7;
    volatile uint64_t h = seed + 8;
    self.Pause();
    return (a ^ 1) + (b ^ 2) + (c ^ 3) + (d ^ 4) + (e ^ 5) + (f ^ 6) + (g ^ 7) +
           (h ^ 8);
  }
  template <class Switch>
  static void KeepRedZone(Flow<Switch>& self, uint64_t seed) {
    uint64_t expected = 0;
    for (uint64_t i = 1; i <= 8; ++i) expected += (seed + i) ^ i;
    Expect(InRedZone(self, seed) == expected,
           "locals below the stack pointer were overwritten");
  }

  using Vector2 = double __attribute__((vector_size(16)));
  using Vector4 = double __attribute__((vector_size(32)));
  using Vector8 = double __attribute__((vector_size(64)));

  // More values than there are registers, of each kind.
  template <class Switch>
  [[gnu::noinline]] static void KeepValues(Flow<Switch>& self, double seed) {
    volatile double from = seed;
    const Vector2 two = {from, from + 1};
    const Vector4 four = {from, from + 1, from + 2, from + 3};
    const Vector8 eight = {from,     from + 1, from + 2, from + 3,
                           from + 4, from + 5, from + 6, from + 7};
    double reals[20];
    long integers[20];
    for (int i = 0; i < 20; ++i) {
      reals[i] = from / (i + 1);
      integers[i] = static_cast<long>(from) * (i + 1);
    }
    const bool less = from < 500;
    self.Pause();
    bool same = less == (from < 500);
    for (int i = 0; i < 2; ++i) same = same && two[i] == from + i;
    for (int i = 0; i < 4; ++i) same = same && four[i] == from + i;
    for (int i = 0; i < 8; ++i) same = same && eight[i] == from + i;
    for (int i = 0; i < 20; ++i) {
      same = same && reals[i] == from / (i + 1);
      same = same && integers[i] == static_cast<long>(from) * (i + 1);
    }
    Expect(same, "a value was lost across a switch");
  }
};

}  // namespace weft::switches::s06_registers

#endif  // WEFT_TESTS_SWITCH_CLASSES_S06_REGISTERS_H_
