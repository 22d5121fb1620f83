// S2: another fiber of the same thread overwrites errno between the call that
// failed and the line that looks at it.
#ifndef WEFT_TESTS_SWITCH_CLASSES_S02_ERRNO_H_
#define WEFT_TESTS_SWITCH_CLASSES_S02_ERRNO_H_

#include <cerrno>

#include "weft/tests/switch/adapter.h"

namespace weft::switches::s02_errno {

struct Class {
  static constexpr const char* kName = "s02_errno";
  static constexpr bool Keeps::*kKept = &Keeps::error;

  template <class Switch>
  static void Check() {
    const auto keep = [](int mine) {
      return [mine](Flow<Switch>& self) {
        for (int i = 0; i < 3; ++i) {
          errno = mine;
          self.Pause();
          Expect(errno == mine, "a fiber sees the errno of another one");
        }
      };
    };
    Flow<Switch> first(keep(1));
    Flow<Switch> second(keep(2));
    for (int i = 0; i < 4; ++i) {
      errno = 3;
      first.Resume();
      Expect(errno == 3, "the thread sees the errno of a fiber");
      second.Resume();
      Expect(errno == 3, "the thread sees the errno of a fiber");
    }
  }
};

}  // namespace weft::switches::s02_errno

#endif  // WEFT_TESTS_SWITCH_CLASSES_S02_ERRNO_H_
