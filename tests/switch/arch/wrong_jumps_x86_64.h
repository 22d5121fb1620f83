// Jumps for x86-64 that are wrong; see wrong_switches.h.
#ifndef WEFT_TESTS_SWITCH_ARCH_WRONG_JUMPS_X86_64_H_
#define WEFT_TESTS_SWITCH_ARCH_WRONG_JUMPS_X86_64_H_

// Saves and restores the callee-saved general registers and nothing else: no
// MXCSR, no x87 control word.
extern "C" void weft_switches_jump(void** save_to, void* resume);
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

namespace weft::switches {

struct PlainJump {
  static void To(void** save_to, void* resume) {
    weft_switches_jump(save_to, resume);
  }
  static void** Prepare(void** top, void (*start)(),
                        void* called_from = nullptr) {
    constexpr int kRegisters = 6;
    *--top = called_from;
    *--top = reinterpret_cast<void*>(start);
    for (int i = 0; i < kRegisters; ++i) *--top = nullptr;
    return top;
  }
};

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

}  // namespace weft::switches

#endif  // WEFT_TESTS_SWITCH_ARCH_WRONG_JUMPS_X86_64_H_
