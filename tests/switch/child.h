// For classes that end the process, and for switches that break it.
#ifndef WEFT_TESTS_SWITCH_CHILD_H_
#define WEFT_TESTS_SWITCH_CHILD_H_

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "weft/tests/switch/adapter.h"

namespace weft::switches {

// Calls `function` in a child process, which ends then with status 0; returns
// how the child ended, as waitpid(2) says it.
template <class Function>
int InChild(const Function& function) {
  const pid_t child = fork();
  Expect(child >= 0, "no child process");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    function();
    _exit(0);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0) Expect(errno == EINTR, "no child");
  return status;
}

// By a signal, or by a sanitizer that stands in for it.
inline bool Crashed(int status) {
  return WIFSIGNALED(status) || WEXITSTATUS(status) != 0;
}

}  // namespace weft::switches

#endif  // WEFT_TESTS_SWITCH_CHILD_H_
