// Tasks that wait for one another in a circle: a deadlock, whatever the other
// tasks do.
//
// A task waits for another here only if nothing but that task can end the
// wait:
//
//   - for the lock that the other holds, if the wait has no deadline and no
//     cancel can end it; of a shared mutex, for every reader of it if the task
//     wants it alone; and as a reader for the other readers, if a writer
//     stands in line before it, which waits for them;
//   - for the end of the other. A cancel or a deadline does not end that wait
//     either: it is passed on, and the wait goes on.
//
// All of these have to happen, so any circle of them is a deadlock, and no
// deadlock is reported that is not one. What another task could do instead, as
// give a permit back or set an event, makes no such wait; if it comes to
// nothing, all tasks wait in the end.
#ifndef WEFT_BACKENDS_SIM_INTERNAL_WAIT_CIRCLE_H_
#define WEFT_BACKENDS_SIM_INTERNAL_WAIT_CIRCLE_H_

#include <cstdint>
#include <vector>

namespace weft::sim {

class Scheduler;
struct Fiber;

// The circle that the wait of `last`, which has just begun, closes: the numbers
// of its tasks, each of which waits for the next, and the last one for the
// first. Or a chain from `last` to a task that has ended with the lock in its
// hands. Empty if there is neither.
std::vector<uint32_t> FindCircle(const Scheduler& scheduler, const Fiber& last);

// Whether `waiter` waits for a lock that `task` holds.
bool WaitsForLockOf(const Scheduler& scheduler, const Fiber& waiter,
                    uint32_t task);

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_INTERNAL_WAIT_CIRCLE_H_
