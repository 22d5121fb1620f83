// S10: whoever walks the stack (an exception, a profiler, a debugger) does not
// stop at the entry of the fiber but goes on in what happens to lie above.
#ifndef WEFT_TESTS_SWITCH_CLASSES_S10_END_OF_WALK_H_
#define WEFT_TESTS_SWITCH_CLASSES_S10_END_OF_WALK_H_

#include <unwind.h>

#include <cstdint>

#include "weft/tests/switch/adapter.h"

namespace weft::switches::s10_end_of_walk {

struct Class {
  static constexpr const char* kName = "s10_end_of_walk";

  template <class Switch>
  static void Check() {
    Flow<Switch> flow([](Flow<Switch>& self) {
      Walk();
      self.Pause();
      Walk();
    });
    flow.Resume();
    flow.Resume();
  }

 private:
  // More than any library puts between its entry and the body of a fiber.
  static constexpr int kMostFrames = 48;

  static _Unwind_Reason_Code Count(_Unwind_Context*, void* frames) {
    int& count = *static_cast<int*>(frames);
    return ++count > kMostFrames ? _URC_NORMAL_STOP : _URC_NO_REASON;
  }

  [[gnu::noinline]] static void Walk() {
    int frames = 0;
    const _Unwind_Reason_Code end = _Unwind_Backtrace(&Class::Count, &frames);
    Expect(frames >= 2, "the walk found no frames");
    Expect(frames <= kMostFrames, "the walk went on above the entry");
    Expect(end == _URC_END_OF_STACK, "the walk did not end at the entry");
  }
};

}  // namespace weft::switches::s10_end_of_walk

#endif  // WEFT_TESTS_SWITCH_CLASSES_S10_END_OF_WALK_H_
