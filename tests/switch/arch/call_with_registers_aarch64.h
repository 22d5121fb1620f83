// See call_with_registers.h. Of v8 to v15 a function preserves the lower half,
// d8 to d15.
#ifndef WEFT_TESTS_SWITCH_ARCH_CALL_WITH_REGISTERS_AARCH64_H_
#define WEFT_TESTS_SWITCH_ARCH_CALL_WITH_REGISTERS_AARCH64_H_

asm(R"(
  .text
  .p2align 4
  .globl weft_switch_call_with_registers
  .type weft_switch_call_with_registers, %function
weft_switch_call_with_registers:
  hint #34  // bti c
  stp x29, x30, [sp, #-176]!
  stp x19, x20, [sp, #16]
  stp x21, x22, [sp, #32]
  stp x23, x24, [sp, #48]
  stp x25, x26, [sp, #64]
  stp x27, x28, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  str x2, [sp, #160]
  mov x9, x0
  mov x0, x1

  .macro weft_switch_set register, number
  add \register, x2, #\number
  .endm
  .macro weft_switch_set_double register, number
  add x10, x2, #\number
  fmov \register, x10
  .endm
  weft_switch_set x19, 1
  weft_switch_set x20, 2
  weft_switch_set x21, 3
  weft_switch_set x22, 4
  weft_switch_set x23, 5
  weft_switch_set x24, 6
  weft_switch_set x25, 7
  weft_switch_set x26, 8
  weft_switch_set x27, 9
  weft_switch_set x28, 10
  weft_switch_set x29, 11
  weft_switch_set_double d8, 12
  weft_switch_set_double d9, 13
  weft_switch_set_double d10, 14
  weft_switch_set_double d11, 15
  weft_switch_set_double d12, 16
  weft_switch_set_double d13, 17
  weft_switch_set_double d14, 18
  weft_switch_set_double d15, 19
  blr x9

  .macro weft_switch_look register, number
  add x9, x2, #\number
  cmp \register, x9
  cset x9, ne
  orr x0, x0, x9, lsl #\number
  .endm
  .macro weft_switch_look_double register, number
  fmov x10, \register
  weft_switch_look x10, \number
  .endm
  ldr x2, [sp, #160]
  mov x0, #0
  weft_switch_look x19, 1
  weft_switch_look x20, 2
  weft_switch_look x21, 3
  weft_switch_look x22, 4
  weft_switch_look x23, 5
  weft_switch_look x24, 6
  weft_switch_look x25, 7
  weft_switch_look x26, 8
  weft_switch_look x27, 9
  weft_switch_look x28, 10
  weft_switch_look x29, 11
  weft_switch_look_double d8, 12
  weft_switch_look_double d9, 13
  weft_switch_look_double d10, 14
  weft_switch_look_double d11, 15
  weft_switch_look_double d12, 16
  weft_switch_look_double d13, 17
  weft_switch_look_double d14, 18
  weft_switch_look_double d15, 19
  .purgem weft_switch_set
  .purgem weft_switch_set_double
  .purgem weft_switch_look
  .purgem weft_switch_look_double

  ldp x19, x20, [sp, #16]
  ldp x21, x22, [sp, #32]
  ldp x23, x24, [sp, #48]
  ldp x25, x26, [sp, #64]
  ldp x27, x28, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  ldp x29, x30, [sp], #176
  ret
  .size weft_switch_call_with_registers, . - weft_switch_call_with_registers
)");

#endif  // WEFT_TESTS_SWITCH_ARCH_CALL_WITH_REGISTERS_AARCH64_H_
