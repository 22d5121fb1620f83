// S14: a fiber that needs more than its stack writes on into the stack of a
// neighbour, which fails much later and somewhere else. Below each stack there
// has to be memory that traps, on a fresh stack and on one that is used again.
#ifndef WEFT_TESTS_SWITCH_CLASSES_S14_OVERFLOW_H_
#define WEFT_TESTS_SWITCH_CLASSES_S14_OVERFLOW_H_

#include "weft/tests/switch/adapter.h"
#include "weft/tests/switch/child.h"
#include "weft/tests/switch/deep.h"

namespace weft::switches::s14_overflow {

struct Class {
  static constexpr const char* kName = "s14_overflow";

  template <class Switch>
  static void Check() {
    DiveTo<Switch>(kStackSize / 2);
    Expect(Crashed(InChild([] { DiveTo<Switch>(kStackSize + kBeyond); })),
           "a fresh stack was left without a trap");
    Expect(Crashed(InChild([] {
             DiveTo<Switch>(kStackSize / 2);
             DiveTo<Switch>(kStackSize + kBeyond);
           })),
           "a used stack was left without a trap");
  }

 private:
  static constexpr size_t kBeyond = size_t{12} << 10;

  template <class Switch>
  static void DiveTo(size_t depth) {
    Flow<Switch> flow([depth](Flow<Switch>& self) {
      Dive(depth, [&](uintptr_t) { self.Pause(); });
    });
    flow.Resume();
    flow.Resume();
  }
};

}  // namespace weft::switches::s14_overflow

#endif  // WEFT_TESTS_SWITCH_CLASSES_S14_OVERFLOW_H_
