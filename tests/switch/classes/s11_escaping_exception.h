// S11: an exception that leaves the fiber's function meets no handler: the
// unwinder comes to the end of the fiber's stack and the program dies. It has
// to be thrown where somebody waits for the fiber.
#ifndef WEFT_TESTS_SWITCH_CLASSES_S11_ESCAPING_EXCEPTION_H_
#define WEFT_TESTS_SWITCH_CLASSES_S11_ESCAPING_EXCEPTION_H_

#include <exception>

#include "weft/tests/switch/adapter.h"
#include "weft/tests/switch/scheduler.h"

namespace weft::switches::s11_escaping_exception {

struct Class {
  static constexpr const char* kName = "s11_escaping_exception";

  template <class Switch>
  static void Check() {
    using Runtime = RuntimeOf<Switch>;
    std::set_terminate(
        [] { End(kExitFailed, "an exception left its fiber: terminate"); });
    int caught = 0;
    Runtime::Run({[&caught](Runtime& runtime) {
      auto* const first = runtime.Spawn([](Runtime&) { throw 1; });
      auto* const second = runtime.Spawn([](Runtime& inner) {
        inner.Yield();
        throw 2;
      });
      caught += 10 * AwaitThrowing(runtime, second);
      caught += AwaitThrowing(runtime, first);
      // And what does not throw does not.
      caught += AwaitThrowing(
          runtime, runtime.Spawn([](Runtime& inner) { inner.Yield(); }));
    }});
    Expect(caught == 21, "an exception did not come to who waits for it");
  }

 private:
  template <class Runtime>
  static int AwaitThrowing(Runtime& runtime, typename Runtime::Task* task) {
    try {
      runtime.Await(task);
    } catch (int value) {
      return value;
    }
    return 0;
  }
};

}  // namespace weft::switches::s11_escaping_exception

#endif  // WEFT_TESTS_SWITCH_CLASSES_S11_ESCAPING_EXCEPTION_H_
