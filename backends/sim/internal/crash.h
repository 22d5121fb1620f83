// Says how to replay a schedule in which the program crashes.
#ifndef WEFT_BACKENDS_SIM_INTERNAL_CRASH_H_
#define WEFT_BACKENDS_SIM_INTERNAL_CRASH_H_

#include <signal.h>

#include <cstddef>
#include <memory>
#include <string>

#include "weft/backends/sim/internal/scheduler.h"

namespace weft::sim {

// While it lives, a SIGSEGV, SIGABRT, SIGFPE, SIGBUS or SIGILL of a task of
// `scheduler` on this thread writes a line with the token of the schedule to
// standard error. Then the signal does what it did before. The handler runs on
// a stack of its own, for a task may have overflowed its.
class CrashReporter {
 public:
  // Both must outlive it.
  CrashReporter(const Scheduler& scheduler, const std::string& strategy);
  CrashReporter(const CrashReporter&) = delete;
  CrashReporter& operator=(const CrashReporter&) = delete;
  ~CrashReporter();

 private:
  static void OnSignal(int signal, siginfo_t* info, void* context);
  void Report(int signal) const;

  const Scheduler& scheduler_;
  const std::string& strategy_;
  const std::unique_ptr<std::byte[]> stack_;
  stack_t stack_before_{};
  CrashReporter* const reporter_before_;
};

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_INTERNAL_CRASH_H_
