// Switches that are wrong on purpose, at least one for each class that is about
// the switch: proof that its test can fail. Never use any of this.
//
// Some need assembly, which is there for x86-64 and AArch64; elsewhere those
// classes have no wrong twin.
#ifndef WEFT_TESTS_SWITCH_WRONG_SWITCHES_H_
#define WEFT_TESTS_SWITCH_WRONG_SWITCHES_H_

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "weft/tests/switch/adapter.h"
#include "weft/tests/switch/adapters/fcontext.h"
#include "weft/tests/switch/guarded_stack.h"
#include "weft/tests/switch/twins.h"

#if defined(__x86_64__) || defined(__aarch64__)
#include "weft/tests/switch/hand_made_switches.h"
#endif

namespace weft::switches {

// S2, S3, S13: nothing but registers, and no sanitizer is told.
struct OnlyRegisters : FcontextSwitch {
  static constexpr const char* kName = "only registers are swapped";
};

// S14: a stack above memory that anybody may write to.
class StackWithoutGuard {
 public:
  explicit StackWithoutGuard(size_t size) : memory_(kBelow + size) {}

  char* top() { return memory_.data() + memory_.size(); }
  size_t size() const { return memory_.size() - kBelow; }

 private:
  static constexpr size_t kBelow = size_t{64} << 10;

  std::vector<char> memory_;
};
struct NoGuard : FcontextOn<StackWithoutGuard> {
  static constexpr const char* kName = "stacks without a guard";
};

// S18
struct PausesInsideOfLibraries : FcontextSwitch {
  static constexpr const char* kName = "pauses between two calls of strtok";
  static constexpr bool kPausesInsideOfLibraries = true;
};

// S19: a pool whose stacks keep their pages.
class KeptStack {
 public:
  explicit KeptStack(size_t size) : size_(size) {
    if (Free().empty()) {
      memory_ = std::make_unique<GuardedStack>(size);
    } else {
      memory_ = std::move(Free().back());
      Free().pop_back();
    }
  }
  ~KeptStack() { Free().push_back(std::move(memory_)); }

  char* top() const { return memory_->top(); }
  size_t size() const { return size_; }

 private:
  // All of one size, for the class asks for no other.
  static std::vector<std::unique_ptr<GuardedStack>>& Free() {
    static auto& free = *new std::vector<std::unique_ptr<GuardedStack>>();
    return free;
  }

  const size_t size_;
  std::unique_ptr<GuardedStack> memory_;
};
struct KeepsPages : FcontextOn<KeptStack> {
  static constexpr const char* kName = "stacks are kept with their pages";
};

template <>
struct TwinsOf<s02_errno::Class> : Twins<OnlyRegisters> {};
template <>
struct TwinsOf<s03_exceptions::Class> : Twins<OnlyRegisters> {};
template <>
struct TwinsOf<s13_sanitizers::Class> : Twins<OnlyRegisters> {};
template <>
struct TwinsOf<s14_overflow::Class> : Twins<NoGuard> {};
template <>
struct TwinsOf<s18_library_state::Class> : Twins<PausesInsideOfLibraries> {};
template <>
struct TwinsOf<s19_deep_stacks::Class> : Twins<KeepsPages> {};

}  // namespace weft::switches

#endif  // WEFT_TESTS_SWITCH_WRONG_SWITCHES_H_
