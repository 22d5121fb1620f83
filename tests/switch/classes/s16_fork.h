// S16: a child after fork has the memory of the runtime but only one of its
// threads. A task that is started there waits for ever, and a wake may be taken
// from the parent. The child must fail at once when it uses the runtime, and
// the parent must go on.
#ifndef WEFT_TESTS_SWITCH_CLASSES_S16_FORK_H_
#define WEFT_TESTS_SWITCH_CLASSES_S16_FORK_H_

#include "weft/tests/switch/adapter.h"
#include "weft/tests/switch/child.h"
#include "weft/tests/switch/scheduler.h"

namespace weft::switches::s16_fork {

struct Class {
  static constexpr const char* kName = "s16_fork";

  template <class Switch>
  static void Check() {
    using Runtime = RuntimeOf<Switch>;
    typename Runtime::Signal waits;
    typename Runtime::Signal goes_on;
    bool done = false;
    Runtime::Run({[&](Runtime& runtime) {
                    runtime.Notify(waits);
                    Expect(runtime.Wait(goes_on), "a wait ended of itself");
                    done = true;
                  },
                  [&](Runtime& runtime) {
                    runtime.Wait(waits);
                    // The child goes on in the copy of this fiber.
                    const int local = Opaque(42);
                    Expect(!Crashed(InChild([&local] {
                      Expect(local == 42, "the child's stack is wrong");
                    })),
                           "the child could not end");
                    Expect(Crashed(InChild([&] { runtime.Notify(goes_on); })),
                           "the child used the runtime as if its threads were "
                           "there");
                    runtime.Notify(goes_on);
                  }});
    Expect(done, "the parent did not go on");
  }
};

}  // namespace weft::switches::s16_fork

#endif  // WEFT_TESTS_SWITCH_CLASSES_S16_FORK_H_
