// Faults: what an exploration lets go wrong.
//
//   weft::sim::Explore({.faults = {.operations = true, .cancels = true}},
//                      [](weft::Sim& io) { ... });
//
// Without a probability they are tried **one by one**: a schedule is run
// without any, and then again with each fault that it has a place for, until
// every one was tried; then comes another schedule with all of its faults.
// With a probability they come **at random**: for each schedule the seed says
// which sorts there are, and of those each place has one with that
// probability.
//
// The body must bear them: it expects what holds in spite of them. The report
// names the fault, and the token replays it.
#ifndef WEFT_BACKENDS_SIM_FAULTS_H_
#define WEFT_BACKENDS_SIM_FAULTS_H_

namespace weft::sim {

struct FaultOptions {
  // A call on the simulated network fails, with each errno that Linux may give
  // there: the operations, and the opening, binding, listening and shutting
  // down of sockets. What ends a connection (ECONNRESET, EPIPE, ETIMEDOUT)
  // does end it, for both sides.
  bool operations = false;
  // A task other than the body is cancelled at a scheduling point; or the task
  // that has just finished an operation is, which had succeeded already.
  bool cancels = false;
  // At a scheduling point time jumps to the deadline of the scope of the task
  // that runs, or to the next time anybody waits for.
  bool deadlines = false;
  // A task cannot be started, as at max_tasks.
  bool starts = false;
  // From 0 to 1; 0: one by one.
  double probability = 0;

  bool any() const { return operations || cancels || deadlines || starts; }
};

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_FAULTS_H_
