// Schedulers that are wrong on purpose, one for each class that is about policy
// rather than about the switch: proof that its test can fail.
#ifndef WEFT_TESTS_SWITCH_WRONG_POLICIES_H_
#define WEFT_TESTS_SWITCH_WRONG_POLICIES_H_

#include "weft/tests/switch/adapters/ucontext.h"
#include "weft/tests/switch/adapters/weft.h"
#include "weft/tests/switch/scheduler.h"
#include "weft/tests/switch/twins.h"

namespace weft::switches {

// A switch under a policy.
template <class Policy, class Switch = WeftSwitch>
struct Under {
  static constexpr const char* kName = Policy::kName;
};
template <class Policy, class Switch>
struct RuntimeFor<Under<Policy, Switch>> {
  using type = Scheduler<Switch, Policy>;
};

struct Migrates : RightPolicy {
  static constexpr const char* kName = "fibers go on wherever there is room";
  static constexpr bool kMigrates = true;
};
struct ForgetsCurrent : RightPolicy {
  static constexpr const char* kName = "current is set only at the start";
  static constexpr bool kForgetsCurrent = true;
};
struct ReadiesBeforeSaved : RightPolicy {
  static constexpr const char* kName = "can be woken before it has left";
  static constexpr bool kReadiesBeforeSaved = true;
};
// The same on a switch that keeps the registers of the last save while a fiber
// runs, where weft's has none.
struct ResumesLongAgo : ReadiesBeforeSaved {
  static constexpr const char* kName =
      "can be woken before it has left, with registers of long ago";
};
struct IgnoresShadowStacks : RightPolicy {
  static constexpr const char* kName = "starts without a look";
  static constexpr bool kIgnoresShadowStacks = true;
};
struct LetsExceptionsOut : RightPolicy {
  static constexpr const char* kName = "the entry catches nothing";
  static constexpr bool kLetsExceptionsOut = true;
};
struct UnwindsParked : RightPolicy {
  static constexpr const char* kName = "throws through a paused fiber";
  static constexpr bool kUnwindsParked = true;
};
struct NoAlternateStack : RightPolicy {
  static constexpr const char* kName = "workers without an alternate stack";
  static constexpr bool kNoAlternateStack = true;
};
struct ServesForkedChild : RightPolicy {
  static constexpr const char* kName = "the child uses its parent's queues";
  static constexpr bool kServesForkedChild = true;
};
struct LocksThreads : RightPolicy {
  static constexpr const char* kName = "a mutex of threads, held in a wait";
  static constexpr bool kLocksThreads = true;
};

template <>
struct TwinsOf<s01_migration::Class> : Twins<Under<Migrates>> {};
template <>
struct TwinsOf<s07_current::Class> : Twins<Under<ForgetsCurrent>> {};
template <>
struct TwinsOf<s08_readied_before_saved::Class>
    : Twins<Under<ReadiesBeforeSaved>, Under<ResumesLongAgo, UcontextSwitch>> {
};
template <>
struct TwinsOf<s09_shadow_stack::Class> : Twins<Under<IgnoresShadowStacks>> {};
template <>
struct TwinsOf<s11_escaping_exception::Class>
    : Twins<Under<LetsExceptionsOut>> {};
template <>
struct TwinsOf<s12_forced_unwinding::Class> : Twins<Under<UnwindsParked>> {};
template <>
struct TwinsOf<s15_signal_frame::Class> : Twins<Under<NoAlternateStack>> {};
template <>
struct TwinsOf<s16_fork::Class> : Twins<Under<ServesForkedChild>> {};
template <>
struct TwinsOf<s17_foreign_lock::Class> : Twins<Under<LocksThreads>> {};

}  // namespace weft::switches

#endif  // WEFT_TESTS_SWITCH_WRONG_POLICIES_H_
