// Switches that are wrong on purpose, at least one for each class that is about
// the switch: proof that its test can fail. Never use any of this.
//
// The assembly is for x86-64; elsewhere those classes have no wrong twin.
#ifndef WEFT_TESTS_SWITCH_WRONG_SWITCHES_H_
#define WEFT_TESTS_SWITCH_WRONG_SWITCHES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "weft/tests/switch/adapter.h"
#include "weft/tests/switch/adapters/fcontext.h"
#include "weft/tests/switch/guarded_stack.h"
#include "weft/tests/switch/twins.h"

// Saves and restores the callee-saved general registers and nothing else: no
// MXCSR, no x87 control word.
extern "C" void weft_switches_jump(void** save_to, void* resume);
#if defined(__x86_64__)
asm(R"(
  .text
  .p2align 4
  .globl weft_switches_jump
  .type weft_switches_jump, @function
weft_switches_jump:
  endbr64
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  retq
  .size weft_switches_jump, . - weft_switches_jump
)");
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

struct PlainJump {
  static constexpr int kRegisters = 6;

  static void To(void** save_to, void* resume) {
    weft_switches_jump(save_to, resume);
  }
  static void** Prepare(void** top, void (*start)()) {
    // As if `start` had been called from nowhere.
    *--top = nullptr;
    *--top = reinterpret_cast<void*>(start);
    for (int i = 0; i < kRegisters; ++i) *--top = nullptr;
    return top;
  }
};

// S2, S3, S13: nothing but registers, and no sanitizer is told.
struct OnlyRegisters : FcontextSwitch {
  static constexpr const char* kName = "only registers are swapped";
};

// S4
struct NoControlWords : HandMadeSwitch<PlainJump> {
  static constexpr const char* kName = "MXCSR and x87 are not swapped";
};

// S5
struct UnalignedJump : PlainJump {
  static void** Prepare(void** top, void (*start)()) {
    return PlainJump::Prepare(top - 1, start);
  }
};
struct Unaligned : HandMadeSwitch<UnalignedJump> {
  static constexpr const char* kName = "the entry is off by 8 bytes";
};

// S6
#if defined(__x86_64__)
// Keeps out of the red zone, but says of one register only that it changes.
struct NoClobbersJump {
  static void** Prepare(void** top, void (*start)()) {
    *--top = nullptr;
    *--top = reinterpret_cast<void*>(start);
    *--top = nullptr;
    return top;
  }
  [[gnu::always_inline]] static void To(void** save_to, void* resume) {
    asm volatile(
        "leaq 1f(%%rip), %%rax\n\t"
        "subq $128, %%rsp\n\t"
        "pushq %%rax\n\t"
        "pushq %%rbp\n\t"
        "movq %%rsp, (%0)\n\t"
        "movq %1, %%rsp\n\t"
        "popq %%rbp\n\t"
        "retq\n\t"
        "1: addq $128, %%rsp"
        :
        : "r"(save_to), "r"(resume)
        : "rax", "memory");
  }
};
struct NoClobbers : HandMadeSwitch<NoClobbersJump> {
  static constexpr const char* kName = "inline assembly without its clobbers";
};
// Its pushes overwrite what a function without calls has below its stack
// pointer. All else is right.
struct RedZoneJump : PlainJump {
  [[gnu::always_inline]] static void To(void** save_to, void* resume) {
    asm volatile(
        "leaq 1f(%%rip), %%rax\n\t"
        "pushq %%rax\n\t"
        "pushq %%rbp\n\t"
        "pushq %%rbx\n\t"
        "pushq %%r12\n\t"
        "pushq %%r13\n\t"
        "pushq %%r14\n\t"
        "pushq %%r15\n\t"
        "movq %%rsp, (%0)\n\t"
        "movq %1, %%rsp\n\t"
        "popq %%r15\n\t"
        "popq %%r14\n\t"
        "popq %%r13\n\t"
        "popq %%r12\n\t"
        "popq %%rbx\n\t"
        "popq %%rbp\n\t"
        "retq\n\t"
        "1:"
        : "+D"(save_to), "+S"(resume)
        :
        : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "xmm2",
          "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
          "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "memory", "cc");
  }
};
struct RedZone : HandMadeSwitch<RedZoneJump> {
  static constexpr const char* kName = "inline assembly in the red zone";
};
#endif

// S10
struct NoEndJump : PlainJump {
  static void** Prepare(void** top, void (*start)()) {
    // Return addresses in the middle of a function, one above the other.
    constexpr int kFrames = 255;
    auto* const inside = reinterpret_cast<char*>(&NoEndJump::Caller) + 1;
    for (int i = 0; i < kFrames; ++i) *--top = inside;
    *--top = reinterpret_cast<void*>(start);
    for (int i = 0; i < kRegisters; ++i) *--top = nullptr;
    return top;
  }
  [[gnu::noinline]] static void Caller() { Opaque(&Caller); }
};
struct NoEnd : HandMadeSwitch<NoEndJump> {
  static constexpr const char* kName = "the entry frame does not end the walk";
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
#if defined(__x86_64__)
template <>
struct TwinsOf<s04_floating_point::Class> : Twins<NoControlWords> {};
template <>
struct TwinsOf<s05_alignment::Class> : Twins<Unaligned> {};
#if defined(WEFT_SWITCH_ASAN) || defined(WEFT_SWITCH_TSAN)
// Every function calls the sanitizer, so that none has a red zone.
template <>
struct TwinsOf<s06_registers::Class> : Twins<NoClobbers> {};
#else
template <>
struct TwinsOf<s06_registers::Class> : Twins<NoClobbers, RedZone> {};
#endif
template <>
struct TwinsOf<s10_end_of_walk::Class> : Twins<NoEnd> {};
#endif
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
