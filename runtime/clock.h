// Points in time and spans of time, the same types on every backend.
//
//   weft::MonotonicTime start = io.Now();
//   absl::Status status = weft::Sleep(io, 20ms);
//   weft::Duration waited = io.Now() - start;
#ifndef WEFT_RUNTIME_CLOCK_H_
#define WEFT_RUNTIME_CLOCK_H_

#include <chrono>

namespace weft {

// A span of time in nanoseconds. Any std::chrono duration converts to it.
using Duration = std::chrono::nanoseconds;

// Tags MonotonicTime. It has no now(): only an Io knows the time, for on a
// simulated backend time is virtual.
struct MonotonicClock {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  using time_point = std::chrono::time_point<MonotonicClock, Duration>;
  static constexpr bool is_steady = true;
};

// A point on the clock that never jumps (CLOCK_MONOTONIC on real backends).
using MonotonicTime = MonotonicClock::time_point;

// A point on the calendar clock. It may jump when somebody sets the clock.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

// The deadline that never comes.
inline constexpr MonotonicTime kNever = MonotonicTime::max();

// `now + span`, or kNever where that would overflow.
constexpr MonotonicTime After(MonotonicTime now, Duration span) {
  return span > kNever - now ? kNever : now + span;
}

namespace internal {

// The kernel's clocks, for backends that run in real time.
MonotonicTime KernelMonotonicNow();
// Less exact, by some milliseconds, and several times cheaper.
MonotonicTime CoarseMonotonicNow();
WallTime KernelWallNow();

}  // namespace internal
}  // namespace weft

#endif  // WEFT_RUNTIME_CLOCK_H_
