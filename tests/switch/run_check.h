// Runs a class in a process of its own, which a wrong switch may break.
#ifndef WEFT_TESTS_SWITCH_RUN_CHECK_H_
#define WEFT_TESTS_SWITCH_RUN_CHECK_H_

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "weft/tests/switch/adapter.h"

namespace weft::switches {

enum class Verdict {
  kPassed,
  kFailed,   // the class says so, or a sanitizer
  kCrashed,  // by a signal
  kHung,     // time is up: neither right nor caught
  kCannot,   // the class cannot be shown in this build
};

struct Outcome {
  Verdict verdict;
  std::string message;  // what it wrote to standard error
};

// A class takes milliseconds; slow machines and sanitizers have time.
inline constexpr unsigned kTimeLimitS = 60;

inline Outcome RunCheck(void (*check)()) {
  int ends[2];
  Expect(pipe(ends) == 0, "no pipe");
  const pid_t child = fork();
  Expect(child >= 0, "no child process");
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    const rlimit no_core = {};
    setrlimit(RLIMIT_CORE, &no_core);
    alarm(kTimeLimitS);
    check();
    _exit(kExitPassed);
  }
  close(ends[1]);
  Outcome outcome = {.verdict = Verdict::kPassed, .message = ""};
  char part[512];
  for (ssize_t size; (size = read(ends[0], part, sizeof(part))) > 0;) {
    outcome.message.append(part, static_cast<size_t>(size));
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) {
    outcome.verdict =
        WTERMSIG(status) == SIGALRM ? Verdict::kHung : Verdict::kCrashed;
    outcome.message += strsignal(WTERMSIG(status));
  } else if (WEXITSTATUS(status) == kExitCannot) {
    outcome.verdict = Verdict::kCannot;
  } else if (WEXITSTATUS(status) != kExitPassed) {
    outcome.verdict = Verdict::kFailed;
  }
  while (outcome.message.ends_with('\n')) outcome.message.pop_back();
  return outcome;
}

// A wrong twin has to fail or crash.
inline bool IsCaught(const Outcome& outcome) {
  return outcome.verdict == Verdict::kFailed ||
         outcome.verdict == Verdict::kCrashed;
}

}  // namespace weft::switches

#endif  // WEFT_TESTS_SWITCH_RUN_CHECK_H_
