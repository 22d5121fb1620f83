// See call_with_registers.h. The direction flag has a bit, too.
#ifndef WEFT_TESTS_SWITCH_ARCH_CALL_WITH_REGISTERS_X86_64_H_
#define WEFT_TESTS_SWITCH_ARCH_CALL_WITH_REGISTERS_X86_64_H_

asm(R"(
  .text
  .p2align 4
  .globl weft_switch_call_with_registers
  .type weft_switch_call_with_registers, @function
weft_switch_call_with_registers:
  endbr64
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  pushq %rdx
  movq %rdi, %rax
  movq %rsi, %rdi
  leaq 1(%rdx), %rbp
  leaq 2(%rdx), %rbx
  leaq 3(%rdx), %r12
  leaq 4(%rdx), %r13
  leaq 5(%rdx), %r14
  leaq 6(%rdx), %r15
  callq *%rax
  movq (%rsp), %rdx
  pushfq
  popq %rax
  andq $0x400, %rax
  subq %rdx, %rbp
  cmpq $1, %rbp
  je 1f
  orq $1, %rax
1:
  subq %rdx, %rbx
  cmpq $2, %rbx
  je 2f
  orq $2, %rax
2:
  subq %rdx, %r12
  cmpq $3, %r12
  je 3f
  orq $4, %rax
3:
  subq %rdx, %r13
  cmpq $4, %r13
  je 4f
  orq $8, %rax
4:
  subq %rdx, %r14
  cmpq $5, %r14
  je 5f
  orq $16, %rax
5:
  subq %rdx, %r15
  cmpq $6, %r15
  je 6f
  orq $32, %rax
6:
  addq $8, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  retq
  .size weft_switch_call_with_registers, . - weft_switch_call_with_registers
)");

#endif  // WEFT_TESTS_SWITCH_ARCH_CALL_WITH_REGISTERS_X86_64_H_
