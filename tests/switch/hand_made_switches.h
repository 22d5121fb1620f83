// Switches that are wrong on purpose and have to be written by hand, for each
// processor that arch/ has jumps for; see wrong_switches.h.
#ifndef WEFT_TESTS_SWITCH_HAND_MADE_SWITCHES_H_
#define WEFT_TESTS_SWITCH_HAND_MADE_SWITCHES_H_

#include <cstddef>

#include "weft/tests/switch/adapter.h"
#include "weft/tests/switch/guarded_stack.h"
#include "weft/tests/switch/twins.h"

#if defined(__x86_64__)
#include "weft/tests/switch/arch/wrong_jumps_x86_64.h"
#elif defined(__aarch64__)
#include "weft/tests/switch/arch/wrong_jumps_aarch64.h"
#endif

namespace weft::switches {

// What the wrong switches have in common. A Jump has
//
//   static void To(void** save_to, void* resume);
//   static void** Prepare(void** top, void (*start)());  // returns `resume`
template <class Jump>
struct HandMadeSwitch {
  class Fiber {
   public:
    Fiber(void (*entry)(void*), void* argument, size_t stack_size)
        : entry_(entry), argument_(argument), stack_(stack_size) {
      own_ =
          Jump::Prepare(reinterpret_cast<void**>(stack_.top()), &Fiber::Start);
    }
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;

    [[gnu::always_inline]] void Resume() {
      starting = this;
      Jump::To(&other_, own_);
    }
    [[gnu::always_inline]] void Pause() { Jump::To(&own_, other_); }

   private:
    static void Start() {
      Fiber& self = *starting;
      self.entry_(self.argument_);
      self.Pause();
    }

    static inline Fiber* volatile starting = nullptr;

    void (*const entry_)(void*);
    void* const argument_;
    const GuardedStack stack_;
    void* own_ = nullptr;
    void* other_ = nullptr;
  };
};

// S4
struct NoControlWords : HandMadeSwitch<PlainJump> {
  static constexpr const char* kName = "control words are not swapped";
};
template <>
struct TwinsOf<s04_floating_point::Class> : Twins<NoControlWords> {};

// S5
struct UnalignedJump : PlainJump {
  static void** Prepare(void** top, void (*start)()) {
    return PlainJump::Prepare(top - 1, start);
  }
};
struct Unaligned : HandMadeSwitch<UnalignedJump> {
  static constexpr const char* kName = "the entry is off by 8 bytes";
};
template <>
struct TwinsOf<s05_alignment::Class> : Twins<Unaligned> {};

// S6
struct NoClobbers : HandMadeSwitch<NoClobbersJump> {
  static constexpr const char* kName = "inline assembly without its clobbers";
};
#if defined(__aarch64__)
struct NoDoubles : HandMadeSwitch<NoDoublesJump> {
  static constexpr const char* kName = "d8 to d15 are not swapped";
};
template <>
struct TwinsOf<s06_registers::Class> : Twins<NoClobbers, NoDoubles> {};
#elif defined(WEFT_SWITCH_ASAN) || defined(WEFT_SWITCH_MSAN) || \
    defined(WEFT_SWITCH_TSAN)
// Every function calls the sanitizer, so that none has a red zone.
template <>
struct TwinsOf<s06_registers::Class> : Twins<NoClobbers> {};
#else
struct RedZone : HandMadeSwitch<RedZoneJump> {
  static constexpr const char* kName = "inline assembly in the red zone";
};
template <>
struct TwinsOf<s06_registers::Class> : Twins<NoClobbers, RedZone> {};
#endif

// S10
struct NoEndJump : PlainJump {
  static void** Prepare(void** top, void (*start)()) {
    // Return addresses at the beginning of a function, one above the other;
    // where they are in a register, a walk finds the same one again and again.
    constexpr int kFrames = 255;
    auto* const inside = reinterpret_cast<char*>(&NoEndJump::Caller) + 1;
    for (int i = 0; i < kFrames; ++i) *--top = inside;
    return PlainJump::Prepare(top, start, inside);
  }
  [[gnu::noinline]] static void Caller() { Opaque(&Caller); }
};
struct NoEnd : HandMadeSwitch<NoEndJump> {
  static constexpr const char* kName = "the entry frame does not end the walk";
};
template <>
struct TwinsOf<s10_end_of_walk::Class> : Twins<NoEnd> {};

}  // namespace weft::switches

#endif  // WEFT_TESTS_SWITCH_HAND_MADE_SWITCHES_H_
