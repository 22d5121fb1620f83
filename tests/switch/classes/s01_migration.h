// S1: the compiler keeps the address of a thread-local variable, such as
// errno's, across a switch. When the fiber goes on on another thread, it writes
// into that of a stranger. A started fiber must never change its thread.
#ifndef WEFT_TESTS_SWITCH_CLASSES_S01_MIGRATION_H_
#define WEFT_TESTS_SWITCH_CLASSES_S01_MIGRATION_H_

#include <unistd.h>

#include <cerrno>

#include "weft/tests/switch/adapter.h"
#include "weft/tests/switch/scheduler.h"

namespace weft::switches::s01_migration {

inline thread_local int local = 0;

struct Class {
  static constexpr const char* kName = "s01_migration";

  template <class Switch>
  static void Check() {
    using Runtime = RuntimeOf<Switch>;
    Runtime::RunShared(2, [](Runtime& runtime) {
      constexpr int kFibers = 4;
      typename Runtime::Task* fibers[kFibers];
      for (auto& fiber : fibers) {
        fiber = runtime.Spawn(&Class::PauseInEveryWay<Runtime>);
      }
      for (auto* const fiber : fibers) runtime.Await(fiber);
    });
  }

 private:
  [[gnu::noinline]] static int* AddressOfLocal() { return Opaque(&local); }
  [[gnu::noinline]] static int* AddressOfErrno() { return Opaque(&errno); }

  // All in one function, so that the compiler may well keep addresses.
  template <class Runtime>
  static void PauseInEveryWay(Runtime& runtime) {
    const pid_t thread = gettid();
    const int* const its_local = &local;
    const int* const its_errno = &errno;
    // The same for all fibers of a thread.
    local = thread;
    runtime.PauseInEveryWay([&](const char* way) WEFT_SWITCH_INLINE {
      ExpectAfter(way, gettid() == thread, "a fiber went on on another thread");
      ExpectAfter(way, AddressOfLocal() == its_local && &local == its_local,
                  "the address of a thread-local variable is a stranger's");
      ExpectAfter(way, local == thread,
                  "a thread-local variable is a stranger's");
      ExpectAfter(way, AddressOfErrno() == its_errno && &errno == its_errno,
                  "the address of errno is a stranger's");
    });
  }
};

}  // namespace weft::switches::s01_migration

#endif  // WEFT_TESTS_SWITCH_CLASSES_S01_MIGRATION_H_
