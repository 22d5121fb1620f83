// What can be wrong with a schedule.
#ifndef WEFT_BACKENDS_SIM_FAILURE_H_
#define WEFT_BACKENDS_SIM_FAILURE_H_

#include <cstdint>
#include <string>

namespace weft::sim {

enum class FailureKind {
  kExpectation,  // Sim::ReportFailure was called, as by EXPECT
  kException,    // an exception left the body
  kCheck,        // a check of weft failed: misuse, or a bug of weft's own
  kDeadlock,     // nothing can ever run again
  kLivelock,     // more points than the schedule may have
  kLeakedTask,   // the body has returned, and a task still runs
  kDivergence,   // the replay is not the schedule that was recorded
  kOptions,      // the exploration could not begin
};

// "deadlock" ..., one word.
const char* Name(FailureKind kind);

struct Failure {
  FailureKind kind = FailureKind::kOptions;
  // What happened; one line or more.
  std::string text;
  // Every task there was at that moment, a line each.
  std::string tasks;
  uint64_t step = 0;
};

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_FAILURE_H_
