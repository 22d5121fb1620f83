// Jumps for AArch64 that are wrong; see wrong_switches.h.
#ifndef WEFT_TESTS_SWITCH_ARCH_WRONG_JUMPS_AARCH64_H_
#define WEFT_TESTS_SWITCH_ARCH_WRONG_JUMPS_AARCH64_H_

// Saves and restores the callee-saved registers and nothing else: no FPCR.
extern "C" void weft_switches_jump(void** save_to, void* resume);
// Where a fiber starts: calls x19 as if x20 had done it.
extern "C" void weft_switches_start();
asm(R"(
  .text
  .p2align 4
  .globl weft_switches_jump
  .type weft_switches_jump, %function
weft_switches_jump:
  hint #34  // bti c
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
  .size weft_switches_jump, . - weft_switches_jump

  .p2align 4
  .globl weft_switches_start
  .type weft_switches_start, %function
weft_switches_start:
  mov x16, x19
  mov x30, x20
  br x16
  .size weft_switches_start, . - weft_switches_start
)");

namespace weft::switches {

struct PlainJump {
  static void To(void** save_to, void* resume) {
    weft_switches_jump(save_to, resume);
  }
  static void** Prepare(void** top, void (*start)(),
                        void* called_from = nullptr) {
    constexpr int kRegisters = 20;
    for (int i = 0; i < kRegisters; ++i) *--top = nullptr;
    top[0] = reinterpret_cast<void*>(start);
    top[1] = called_from;
    top[11] = reinterpret_cast<void*>(&weft_switches_start);
    return top;
  }
};

// Says of a few registers only that they change.
struct NoClobbersJump {
  static void** Prepare(void** top, void (*start)()) {
    *--top = reinterpret_cast<void*>(start);
    *--top = nullptr;
    return top;
  }
  [[gnu::always_inline]] static void To(void** save_to, void* resume) {
    asm volatile(
        "adr x16, 1f\n\t"
        "stp x29, x16, [sp, #-16]!\n\t"
        "mov x17, sp\n\t"
        "str x17, [%0]\n\t"
        "mov sp, %1\n\t"
        "ldp x29, x16, [sp], #16\n\t"
        "br x16\n\t"
        "1: hint #36"  // bti j
        :
        : "r"(save_to), "r"(resume)
        : "x16", "x17", "memory");
  }
};

// Leaves d8 to d15 as they are: a scalar program seldom notices. All else is
// right.
struct NoDoublesJump : NoClobbersJump {
  [[gnu::always_inline]] static void To(void** save_to, void* resume) {
    register void** to asm("x0") = save_to;
    register void* from asm("x1") = resume;
    asm volatile(
        "adr x16, 1f\n\t"
        "stp x29, x16, [sp, #-16]!\n\t"
        "mov x17, sp\n\t"
        "str x17, [x0]\n\t"
        "mov sp, x1\n\t"
        "ldp x29, x16, [sp], #16\n\t"
        "br x16\n\t"
        "1: hint #36"  // bti j
        : "+r"(to), "+r"(from)
        :
        : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12",
          "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22",
          "x23", "x24", "x25", "x26", "x27", "x28", "x30", "v0", "v1", "v2",
          "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20",
          "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30",
          "v31", "memory", "cc");
  }
};

}  // namespace weft::switches

#endif  // WEFT_TESTS_SWITCH_ARCH_WRONG_JUMPS_AARCH64_H_
