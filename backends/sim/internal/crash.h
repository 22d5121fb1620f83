// Says how to replay a schedule in which the program crashes.
#ifndef WEFT_BACKENDS_SIM_INTERNAL_CRASH_H_
#define WEFT_BACKENDS_SIM_INTERNAL_CRASH_H_

#include <string>

#include "weft/backends/sim/internal/scheduler.h"
#include "weft/runtime/internal/crash_handlers.h"
#include "weft/runtime/internal/signal_stack.h"

namespace weft::sim {

// While it lives, a SIGSEGV, SIGABRT, SIGFPE, SIGBUS or SIGILL of a task of
// `scheduler` on this thread writes a line with the token of the schedule to
// standard error. Then the signal does what it did before. The handler runs on
// a stack of its own, for a task may have overflowed its.
class CrashReporter final : public internal::CrashListener {
 public:
  // Both must outlive it.
  CrashReporter(const Scheduler& scheduler, const std::string& strategy)
      : scheduler_(scheduler), strategy_(strategy) {}

  void OnCrash(const char* name) const override;

 private:
  const Scheduler& scheduler_;
  const std::string& strategy_;
  const internal::SignalStack signal_stack_;
  const internal::CrashHandlers handlers_{
      internal::CrashHandlers::Signals::kAll};
};

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_INTERNAL_CRASH_H_
