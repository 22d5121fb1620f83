// S17: a fiber waits while it holds a lock that is made for threads. Another
// fiber of the same worker wants the lock, blocks the worker, and the first one
// never gets to unlock it.
#ifndef WEFT_TESTS_SWITCH_CLASSES_S17_FOREIGN_LOCK_H_
#define WEFT_TESTS_SWITCH_CLASSES_S17_FOREIGN_LOCK_H_

#include "weft/tests/switch/adapter.h"
#include "weft/tests/switch/scheduler.h"

namespace weft::switches::s17_foreign_lock {

struct Class {
  static constexpr const char* kName = "s17_foreign_lock";

  template <class Switch>
  static void Check() {
    using Runtime = RuntimeOf<Switch>;
    int entered = 0;
    Runtime::Run({[&entered](Runtime& runtime) {
      typename Runtime::Mutex mutex;
      constexpr int kFibers = 3;
      typename Runtime::Task* fibers[kFibers];
      for (auto& fiber : fibers) {
        fiber = runtime.Spawn([&](Runtime& inner) {
          mutex.Lock(inner);
          const int before = entered;
          inner.Yield();
          Expect(entered == before, "the lock let two in");
          ++entered;
          mutex.Unlock(inner);
        });
      }
      for (auto* const fiber : fibers) runtime.Await(fiber);
    }});
    Expect(entered == 3, "a fiber did not get the lock");
  }
};

}  // namespace weft::switches::s17_foreign_lock

#endif  // WEFT_TESTS_SWITCH_CLASSES_S17_FOREIGN_LOCK_H_
