// S15: the kernel puts the frame of a signal handler, up to 12 KiB with wide
// vector registers, on the stack of the fiber that runs. Threads that run
// fibers need an alternate stack, and a switch must leave that alone; without
// one a nearly full stack overflows. On an empty stack of the smallest size
// there is room.
#ifndef WEFT_TESTS_SWITCH_CLASSES_S15_SIGNAL_FRAME_H_
#define WEFT_TESTS_SWITCH_CLASSES_S15_SIGNAL_FRAME_H_

#include <csignal>
#include <cstdlib>

#include "weft/tests/switch/adapter.h"
#include "weft/tests/switch/child.h"
#include "weft/tests/switch/deep.h"

namespace weft::switches::s15_signal_frame {

struct Class {
  static constexpr const char* kName = "s15_signal_frame";

  template <class Switch>
  static void Check() {
#if defined(WEFT_SWITCH_ASAN) || defined(WEFT_SWITCH_TSAN)
    Cannot("a sanitizer's own frames do not fit on a nearly full stack");
#endif
    Expect(!Crashed(InChild([] { Signals<Switch>(0, kSmallest, 0); })),
           "a signal did not fit on an empty stack of the smallest size");
    Expect(!Crashed(InChild([] {
      if (!LeavesOutAlternateStack<Switch>()) UseAlternateStack();
      Signals<Switch>(SA_ONSTACK, kStackSize, kStackSize - kLeft);
    })),
           "the frame of a signal overflowed a nearly full stack");
  }

 private:
  // Of a stack in weft, without the guard.
  static constexpr size_t kSmallest = size_t{48} << 10;
  // Too little for the handler, enough to raise the signal and to switch.
  static constexpr size_t kLeft = size_t{3} << 10;

  template <class Switch>
  static constexpr bool LeavesOutAlternateStack() {
    return requires { Switch::kLeavesOutAlternateStack; };
  }

  static void UseAlternateStack() {
    constexpr size_t kSize = size_t{64} << 10;
    stack_t stack = {};
    stack.ss_sp = std::malloc(kSize);
    stack.ss_size = kSize;
    Expect(sigaltstack(&stack, nullptr) == 0, "no alternate stack");
  }

  static void Handle(int) {
    volatile char frame[8 << 10];
    for (size_t i = 0; i < sizeof(frame); i += 64) frame[i] = 1;
    handled = handled + 1;
  }
  static inline volatile sig_atomic_t handled = 0;

  template <class Switch>
  static void Signals(int flags, size_t stack_size, size_t depth) {
    struct sigaction action = {};
    action.sa_handler = &Class::Handle;
    action.sa_flags = flags;
    Expect(sigaction(SIGPROF, &action, nullptr) == 0, "no handler");
    Flow<Switch> flow(
        [depth](Flow<Switch>& self) {
          // The first call of each function needs more, to find it.
          raise(SIGPROF);
          self.Pause();
          Dive(depth, [&](uintptr_t) {
            raise(SIGPROF);
            self.Pause();
            raise(SIGPROF);
          });
        },
        stack_size);
    for (int i = 0; i < 3; ++i) flow.Resume();
    Expect(handled == 3, "a signal was not handled");
  }
};

}  // namespace weft::switches::s15_signal_frame

#endif  // WEFT_TESTS_SWITCH_CLASSES_S15_SIGNAL_FRAME_H_
