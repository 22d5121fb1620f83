// A cancel or a deadline that comes at any point of a wait.
#ifndef WEFT_TESTS_BUGS_INTERRUPT_H_
#define WEFT_TESTS_BUGS_INTERRUPT_H_

#include <chrono>
#include <optional>
#include <utility>

#include "weft/backends/sim/sim.h"
#include "weft/runtime/clock.h"
#include "weft/runtime/future.h"
#include "weft/runtime/scope.h"

namespace weft::bugs {

enum class Interrupt { kNone, kCancel, kDeadline };

inline constexpr Duration kDeadlineOfWait = std::chrono::milliseconds(1);

// Calls `fn()` in a task which Arrive interrupts.
template <Interrupt how, class Fn>
auto Interruptible(Sim& io, Fn fn) {
  return Async(io, {.name = "interrupted"}, [&io, fn = std::move(fn)] {
    std::optional<Deadline> deadline;
    if (how == Interrupt::kDeadline) deadline.emplace(io, kDeadlineOfWait);
    return fn();
  });
}

// A cancel comes at this point. A deadline comes at the moment at which this
// returns: time does not move while a task can run, so whatever the others do
// without waiting for the caller they have done by then.
template <Interrupt how, class T>
void Arrive(Sim& io, Future<T, Sim>& future) {
  if (how == Interrupt::kCancel) future.Cancel();
  if (how == Interrupt::kDeadline) (void)Sleep(io, kDeadlineOfWait);
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_INTERRUPT_H_
