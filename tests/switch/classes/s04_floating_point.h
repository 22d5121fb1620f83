// S4: rounding mode, flush-to-zero and x87 precision are in control words of
// the processor, which the ABI has a callee preserve. A switch that does not
// lets a fiber compute with the settings of another one.
#ifndef WEFT_TESTS_SWITCH_CLASSES_S04_FLOATING_POINT_H_
#define WEFT_TESTS_SWITCH_CLASSES_S04_FLOATING_POINT_H_

#include <cfenv>

#include "weft/tests/switch/adapter.h"
#include "weft/tests/switch/arch/control_words.h"

namespace weft::switches::s04_floating_point {

struct Class {
  static constexpr const char* kName = "s04_floating_point";
  static constexpr bool Keeps::*kKept = &Keeps::floating_control;

  template <class Switch>
  static void Check() {
    const auto keep = [](const ControlWords& words, int mode) {
      return [=](Flow<Switch>& self) {
        ExpectUsual();
        WriteControlWords(words);
        self.Pause();
        Expect(ReadControlWords() == words, "a fiber lost its control words");
        WriteControlWords(kUsualWords);
        std::fesetround(mode);
        self.Pause();
        Expect(std::fegetround() == mode, "a fiber lost its rounding mode");
      };
    };
    WriteControlWords(kUnusualWords[0]);
    if (ReadControlWords() != kUnusualWords[0]) {
      Cannot("this processor does not take the control words: an emulator?");
    }
    WriteControlWords(kUsualWords);
    Flow<Switch> first(keep(kUnusualWords[0], FE_UPWARD));
    Flow<Switch> second(keep(kUnusualWords[1], FE_DOWNWARD));
    for (int i = 0; i < 3; ++i) {
      first.Resume();
      ExpectUsual();
      second.Resume();
      ExpectUsual();
    }
  }

 private:
  static void ExpectUsual() {
    Expect(ReadControlWords() == kUsualWords,
           "the control words are those of another fiber");
    Expect(std::fegetround() == FE_TONEAREST, "rounds as another fiber does");
  }
};

}  // namespace weft::switches::s04_floating_point

#endif  // WEFT_TESTS_SWITCH_CLASSES_S04_FLOATING_POINT_H_
