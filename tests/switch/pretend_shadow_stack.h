// A kernel that says that this thread has a shadow stack.
#ifndef WEFT_TESTS_SWITCH_PRETEND_SHADOW_STACK_H_
#define WEFT_TESTS_SWITCH_PRETEND_SHADOW_STACK_H_

#if defined(__x86_64__)

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <cstdint>

#include "weft/tests/switch/adapter.h"

namespace weft::switches {

// A filter raises SIGSYS for the question, and this answers it.
inline void AnswerShadowStackQuestion(int, siginfo_t*, void* context) {
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  // ARCH_SHSTK_SHSTK, to where the caller wants it; and success.
  *reinterpret_cast<uint64_t*>(registers[REG_RSI]) = 1;
  registers[REG_RAX] = 0;
}

// From here on, in the calling thread and those that it starts. Cannot be taken
// back: for child processes.
inline void PretendShadowStack() {
  constexpr uint32_t kStatus = 0x5005;  // ARCH_SHSTK_STATUS
  struct sigaction action = {};
  action.sa_sigaction = &AnswerShadowStackQuestion;
  action.sa_flags = SA_SIGINFO;
  Expect(sigaction(SIGSYS, &action, nullptr) == 0, "no handler");
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_arch_prctl, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kStatus, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]),
                              .filter = filter};
  Expect(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no new privileges");
  Expect(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0,
         "no filter");
}

}  // namespace weft::switches

#endif

#endif  // WEFT_TESTS_SWITCH_PRETEND_SHADOW_STACK_H_
