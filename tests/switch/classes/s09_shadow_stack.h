// S9: with shadow stacks (CET) the processor keeps a copy of the return
// addresses. A switch that does not exchange the copies dies at its first
// return; a runtime on such a switch must refuse to start and say why.
//
// Machines with shadow stacks are rare, so the kernel's answer that this thread
// has one is made up here.
#ifndef WEFT_TESTS_SWITCH_CLASSES_S09_SHADOW_STACK_H_
#define WEFT_TESTS_SWITCH_CLASSES_S09_SHADOW_STACK_H_

#include "weft/tests/switch/adapter.h"
#include "weft/tests/switch/pretend_shadow_stack.h"
#include "weft/tests/switch/scheduler.h"

namespace weft::switches::s09_shadow_stack {

struct Class {
  static constexpr const char* kName = "s09_shadow_stack";

  template <class Switch>
  static void Check() {
#if defined(__x86_64__)
    using Runtime = RuntimeOf<Switch>;
    if (RunsOnValgrind()) Cannot("Valgrind answers for the kernel");
    Expect(Runtime::Refusal().empty(), "the runtime does not start at all");
    Runtime::Run({[](Runtime& runtime) { runtime.Yield(); }});
    PretendShadowStack();
    Expect(!Runtime::Refusal().empty(),
           "the runtime starts although its switch would die at its first "
           "return");
#else
    Cannot("only x86-64 has shadow stacks of this kind");
#endif
  }
};

}  // namespace weft::switches::s09_shadow_stack

#endif  // WEFT_TESTS_SWITCH_CLASSES_S09_SHADOW_STACK_H_
