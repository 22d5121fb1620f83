// S7: what the scheduler takes for the current fiber is stale after a switch:
// kept in a register by the compiler, or not set by whoever resumed the fiber.
// The next call then parks a stranger.
#ifndef WEFT_TESTS_SWITCH_CLASSES_S07_CURRENT_H_
#define WEFT_TESTS_SWITCH_CLASSES_S07_CURRENT_H_

#include "weft/tests/switch/adapter.h"
#include "weft/tests/switch/scheduler.h"

namespace weft::switches::s07_current {

struct Class {
  static constexpr const char* kName = "s07_current";

  template <class Switch>
  static void Check() {
    using Runtime = RuntimeOf<Switch>;
    Runtime::Run({[](Runtime& runtime) {
      constexpr int kFibers = 3;
      typename Runtime::Task* fibers[kFibers];
      for (auto& fiber : fibers) {
        fiber = runtime.Spawn(&Class::LookAfterEveryPause<Runtime>);
      }
      for (auto* const fiber : fibers) runtime.Await(fiber);
    }});
  }

 private:
  template <class Runtime>
  static void LookAfterEveryPause(Runtime& runtime) {
    const void* const self = runtime.Current();
    for (int round = 0; round < 3; ++round) {
      runtime.PauseInEveryWay([&](const char* way) WEFT_SWITCH_INLINE {
        ExpectAfter(way, runtime.Current() == self,
                    "the scheduler takes another fiber for the current one");
      });
    }
  }
};

}  // namespace weft::switches::s07_current

#endif  // WEFT_TESTS_SWITCH_CLASSES_S07_CURRENT_H_
