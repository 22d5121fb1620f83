// S12: a library gets rid of a paused fiber by throwing through it. The fiber
// may pause under `catch (...)`, which takes that for an error and goes on, in
// a noexcept function, which ends the program, or in an output operator, which
// marks the stream bad. A fiber that is not wanted any more has to be told,
// resumed and awaited.
#ifndef WEFT_TESTS_SWITCH_CLASSES_S12_FORCED_UNWINDING_H_
#define WEFT_TESTS_SWITCH_CLASSES_S12_FORCED_UNWINDING_H_

#include <exception>
#include <ostream>
#include <streambuf>

#include "weft/tests/switch/adapter.h"
#include "weft/tests/switch/scheduler.h"

namespace weft::switches::s12_forced_unwinding {

struct Class {
  static constexpr const char* kName = "s12_forced_unwinding";

  template <class Switch>
  static void Check() {
    using Runtime = RuntimeOf<Switch>;
    std::set_terminate(
        [] { End(kExitFailed, "unwinding met noexcept: terminate"); });
    int left = 0;
    Runtime::Run({[&left](Runtime& runtime) {
      DropWhenItWaits(runtime, left, [](Runtime& inner) {
        try {
          WaitForEver(inner);
        } catch (...) {
          End(kExitFailed, "unwinding was caught, and the fiber goes on");
        }
      });
      DropWhenItWaits(runtime, left, [](Runtime& inner) {
        [&]() noexcept { WaitForEver(inner); }();
      });
      DropWhenItWaits(runtime, left, [](Runtime& inner) {
        WaitingBuffer<Runtime> buffer(inner);
        std::ostream out(&buffer);
        out << 12;
        FilledByLibrary(out);
        Expect(out.good(), "unwinding broke a stream");
      });
    }});
    Expect(left == 3, "a fiber did not get to its end");
  }

 private:
  template <class Runtime>
  static void WaitForEver(Runtime& runtime) {
    typename Runtime::Signal never;
    Expect(!runtime.Wait(never), "a wait ended of itself");
  }

  template <class Runtime, class Body>
  static void DropWhenItWaits(Runtime& runtime, int& left, Body body) {
    auto* const task = runtime.Spawn([&left, body](Runtime& inner) {
      body(inner);
      ++left;
    });
    for (int i = 0; i < 3; ++i) runtime.Yield();
    runtime.Drop(task);
  }

  template <class Runtime>
  class WaitingBuffer : public std::streambuf {
   public:
    explicit WaitingBuffer(Runtime& runtime) : runtime_(runtime) {}

   private:
    int overflow(int character) override {
      // The second would be told at once.
      if (character == '1') WaitForEver(runtime_);
      return character;
    }
    Runtime& runtime_;
  };
};

}  // namespace weft::switches::s12_forced_unwinding

#endif  // WEFT_TESTS_SWITCH_CLASSES_S12_FORCED_UNWINDING_H_
