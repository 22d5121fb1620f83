// S13: a sanitizer that is not told of a switch takes the fiber's stack for
// foreign memory: ASan reports errors that are none when an exception is
// thrown, TSan loses track. One that is told but whose handles are not freed
// runs out of them.
#ifndef WEFT_TESTS_SWITCH_CLASSES_S13_SANITIZERS_H_
#define WEFT_TESTS_SWITCH_CLASSES_S13_SANITIZERS_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "weft/tests/switch/adapter.h"

#if defined(WEFT_SWITCH_ASAN)
#include <sanitizer/asan_interface.h>
#elif defined(WEFT_SWITCH_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

namespace weft::switches::s13_sanitizers {

struct Class {
  static constexpr const char* kName = "s13_sanitizers";
  static constexpr bool Keeps::*kKept = &Keeps::sanitizers;

  template <class Switch>
  static void Check() {
#if defined(WEFT_SWITCH_ASAN)
    for (int i = 0; i < 100; ++i) {
      Flow<Switch> flow([](Flow<Switch>& self) {
        LookAtStack();
        try {
          ThrowThroughFrames(20, self);
        } catch (const std::string& error) {
          Expect(error == "deep", "another exception");
        }
        LookAtStack();
      });
      while (!flow.ended()) flow.Resume();
      LookAtStack();
    }
#elif defined(WEFT_SWITCH_TSAN)
    void* const outside = __tsan_get_current_fiber();
    Flow<Switch> told([outside](Flow<Switch>&) {
      Expect(__tsan_get_current_fiber() != outside,
             "TSan takes a fiber for the flow that has resumed it");
    });
    told.Resume();
    // More frames than TSan can keep of one flow of control.
    std::vector<std::unique_ptr<Flow<Switch> > > flows;
    for (int i = 0; i < 100; ++i) {
      flows.push_back(std::make_unique<Flow<Switch> >(
          [](Flow<Switch>& self) { PauseDeep(1000, self); }, kLarge));
      flows.back()->Resume();
    }
    for (const auto& flow : flows) flow->Resume();
    // More handles than it can have at a time.
    for (int i = 0; i < 10'000; ++i) {
      Flow<Switch> flow([](Flow<Switch>& self) { self.Pause(); });
      while (!flow.ended()) flow.Resume();
    }
#else
    Cannot("there is no sanitizer in this build");
#endif
  }

#if defined(WEFT_SWITCH_TSAN)
 private:
  static constexpr size_t kLarge = size_t{1} << 20;

  template <class Switch>
  [[gnu::noinline]] static void PauseDeep(int depth, Flow<Switch>& self) {
    if (depth == 0) {
      self.Pause();
    } else {
      PauseDeep(depth - 1, self);
    }
    Opaque(depth);
  }
#endif
#if defined(WEFT_SWITCH_ASAN)
 private:
  [[gnu::noinline]] static void LookAtStack() {
    // The frame, not a local: with the check for use after return a local is
    // on a stack of ASan's own.
    char name[8];
    void* region = nullptr;
    size_t size = 0;
    const char* const kind = __asan_locate_address(
        __builtin_frame_address(0), name, sizeof(name), &region, &size);
    Expect(kind == std::string_view("stack"),
           "ASan takes the stack for other memory");
  }

  template <class Switch>
  [[gnu::noinline]] static void ThrowThroughFrames(int depth,
                                                   Flow<Switch>& self) {
    const std::string local(20, 'x');
    self.Pause();
    if (depth == 0) throw std::string("deep");
    ThrowThroughFrames(depth - 1, self);
    Expect(local.size() == 20, "a local is gone");
  }
#endif
};

}  // namespace weft::switches::s13_sanitizers

#endif  // WEFT_TESTS_SWITCH_CLASSES_S13_SANITIZERS_H_
