// Which wrong switches and policies belong to which class.
#ifndef WEFT_TESTS_SWITCH_TWINS_H_
#define WEFT_TESTS_SWITCH_TWINS_H_

#include <vector>

namespace weft::switches {

// A class with a switch: what to call, and the switch's name.
struct Check {
  const char* name;
  void (*run)();
};

template <class Class, class Switch>
constexpr Check CheckOf() {
  return {.name = Switch::kName, .run = &Class::template Check<Switch>};
}

template <class... Switches>
struct Twins {
  template <class Class>
  static std::vector<Check> All() {
    return {CheckOf<Class, Switches>()...};
  }
};

// Of a class; specialised in wrong_switches.h and wrong_policies.h.
template <class Class>
struct TwinsOf : Twins<> {};

#define WEFT_SWITCH_DECLARE(name) \
  namespace name {                \
  struct Class;                   \
  }
WEFT_SWITCH_DECLARE(s01_migration)
WEFT_SWITCH_DECLARE(s02_errno)
WEFT_SWITCH_DECLARE(s03_exceptions)
WEFT_SWITCH_DECLARE(s04_floating_point)
WEFT_SWITCH_DECLARE(s05_alignment)
WEFT_SWITCH_DECLARE(s06_registers)
WEFT_SWITCH_DECLARE(s07_current)
WEFT_SWITCH_DECLARE(s08_readied_before_saved)
WEFT_SWITCH_DECLARE(s09_shadow_stack)
WEFT_SWITCH_DECLARE(s10_end_of_walk)
WEFT_SWITCH_DECLARE(s11_escaping_exception)
WEFT_SWITCH_DECLARE(s12_forced_unwinding)
WEFT_SWITCH_DECLARE(s13_sanitizers)
WEFT_SWITCH_DECLARE(s14_overflow)
WEFT_SWITCH_DECLARE(s15_signal_frame)
WEFT_SWITCH_DECLARE(s16_fork)
WEFT_SWITCH_DECLARE(s17_foreign_lock)
WEFT_SWITCH_DECLARE(s18_library_state)
WEFT_SWITCH_DECLARE(s19_deep_stacks)
#undef WEFT_SWITCH_DECLARE

}  // namespace weft::switches

#endif  // WEFT_TESTS_SWITCH_TWINS_H_
