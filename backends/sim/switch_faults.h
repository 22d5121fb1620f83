// Switch faults: what an exploration does to code that counts on something to
// survive a switch, which on another backend it need not.
//
//   weft::sim::Explore({.switch_faults = {.late_results = false}},
//                      [](weft::Sim& io) { ... });
#ifndef WEFT_BACKENDS_SIM_SWITCH_FAULTS_H_
#define WEFT_BACKENDS_SIM_SWITCH_FAULTS_H_

namespace weft::sim {

// A token has those of its exploration.
struct SwitchFaultOptions {
  // After other tasks have run, errno is 29999, which is no error.
  bool errno_marker = true;
  // Others may run after some of the operations: what the operation did can be
  // seen, and the task that asked for it does not know yet. Which ones follows
  // from the seed.
  bool late_results = true;
  // The stack of a task that has ended is overwritten with 0xDB bytes, as far
  // as its outermost frames reach, before another task gets it. With
  // AddressSanitizer, all of it is poisoned instead.
  bool poison_stacks = true;
};

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_SWITCH_FAULTS_H_
