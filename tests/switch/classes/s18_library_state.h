// S18: some libraries keep state per thread between two calls: strtok its
// place, OpenSSL its queue of errors. No switch knows of it. Whoever uses such
// a library must be through with it before the fiber pauses.
#ifndef WEFT_TESTS_SWITCH_CLASSES_S18_LIBRARY_STATE_H_
#define WEFT_TESTS_SWITCH_CLASSES_S18_LIBRARY_STATE_H_

#include <cstring>

#include "weft/tests/switch/adapter.h"

namespace weft::switches::s18_library_state {

struct Class {
  static constexpr const char* kName = "s18_library_state";

  template <class Switch>
  static void Check() {
    const auto split = [](const char* first, const char* second) {
      return [first, second](Flow<Switch>& self) {
        char text[8];
        for (int i = 0; i < 2; ++i) {
          std::strcpy(text, first);
          std::strcat(text, ",");
          std::strcat(text, second);
          Expect(IsSame(std::strtok(text, ","), first), "the first is wrong");
          if (PausesInBetween<Switch>()) self.Pause();
          Expect(IsSame(std::strtok(nullptr, ","), second),
                 "the library went on with the text of another fiber");
          self.Pause();
        }
      };
    };
    Flow<Switch> one(split("a", "b"));
    Flow<Switch> two(split("c", "d"));
    while (!one.ended() || !two.ended()) {
      if (!one.ended()) one.Resume();
      if (!two.ended()) two.Resume();
    }
  }

 private:
  template <class Switch>
  static constexpr bool PausesInBetween() {
    return requires { Switch::kPausesInsideOfLibraries; };
  }
  static bool IsSame(const char* part, const char* expected) {
    return part != nullptr && std::strcmp(part, expected) == 0;
  }
};

}  // namespace weft::switches::s18_library_state

#endif  // WEFT_TESTS_SWITCH_CLASSES_S18_LIBRARY_STATE_H_
