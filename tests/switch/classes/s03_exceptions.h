// S3: the C++ runtime keeps per thread which exceptions are caught and how many
// are on their way. Without a swap, a fiber that pauses in a handler rethrows
// the exception of another fiber, or frees it twice.
#ifndef WEFT_TESTS_SWITCH_CLASSES_S03_EXCEPTIONS_H_
#define WEFT_TESTS_SWITCH_CLASSES_S03_EXCEPTIONS_H_

#include <exception>
#include <string>

#include "weft/tests/switch/adapter.h"

namespace weft::switches::s03_exceptions {

struct Class {
  static constexpr const char* kName = "s03_exceptions";
  static constexpr bool Keeps::*kKept = &Keeps::exceptions;

  template <class Switch>
  static void Check() {
    PauseInHandlers<Switch>();
    PauseWhileUnwinding<Switch>();
    StartInHandler<Switch>();
  }

 private:
  static constexpr const char* kForeign =
      "the exception state is that of another fiber";

  static std::exception_ptr CurrentException() {
    std::exception_ptr current = std::current_exception();
    FilledByLibrary(current);
    return current;
  }
  static void ExpectClean() {
    Expect(CurrentException() == nullptr, kForeign);
    Expect(std::uncaught_exceptions() == 0, kForeign);
  }
  static int Current() {
    const std::exception_ptr current = CurrentException();
    if (current == nullptr) return 0;
    try {
      std::rethrow_exception(current);
    } catch (int value) {
      return value;
    }
  }

  // Handlers that end in another order than they began.
  template <class Switch>
  static void PauseInHandlers() {
    const auto handle = [](int mine) {
      return [mine](Flow<Switch>& self) {
        ExpectClean();
        try {
          try {
            throw mine;
          } catch (int) {
            self.Pause();
            Expect(Current() == mine, kForeign);
            self.Pause();
            throw;
          }
        } catch (int caught) {
          Expect(caught == mine, "a fiber rethrew a foreign exception");
        }
        ExpectClean();
      };
    };
    Flow<Switch> first(handle(1));
    Flow<Switch> second(handle(2));
    for (int i = 0; i < 3; ++i) {
      first.Resume();
      ExpectClean();
      second.Resume();
      ExpectClean();
    }
  }

  template <class Switch>
  static void PauseWhileUnwinding() {
    struct PauseInDestructor {
      Flow<Switch>& flow;
      ~PauseInDestructor() {
        Expect(std::uncaught_exceptions() == 1, kForeign);
        flow.Pause();
        Expect(std::uncaught_exceptions() == 1, kForeign);
      }
    };
    const auto unwind = [](Flow<Switch>& self) {
      try {
        const PauseInDestructor pause{self};
        throw 1;
      } catch (int) {
        Expect(std::uncaught_exceptions() == 0, kForeign);
        self.Pause();
      }
      ExpectClean();
    };
    Flow<Switch> first(unwind);
    Flow<Switch> second(unwind);
    for (int i = 0; i < 3; ++i) {
      first.Resume();
      ExpectClean();
      second.Resume();
      ExpectClean();
    }
  }

  template <class Switch>
  static void StartInHandler() {
    try {
      throw 1;
    } catch (int) {
      Flow<Switch> flow([](Flow<Switch>&) {
        ExpectClean();
        try {
          throw 2;
        } catch (int) {
          Expect(Current() == 2, kForeign);
        }
      });
      flow.Resume();
      Expect(Current() == 1, kForeign);
    }
  }
};

}  // namespace weft::switches::s03_exceptions

#endif  // WEFT_TESTS_SWITCH_CLASSES_S03_EXCEPTIONS_H_
