// Options from Abseil flags, for programs that use them. A library of its own,
// weft_flags, so that others do not get the flags.
//
//   int main(int argc, char** argv) {
//     absl::ParseCommandLine(argc, argv);
//     return weft::RunMain(weft::OptionsFromFlags(), ...);
//   }
#ifndef WEFT_RUNTIME_FLAGS_H_
#define WEFT_RUNTIME_FLAGS_H_

#include "weft/runtime/options.h"

namespace weft {

// Options::FromEnvironment, overridden by the flags that were given:
// --weft_backend, --weft_driver, --weft_workers, --weft_stack_size,
// --weft_max_tasks, --weft_ring_entries, --weft_idle_thread_timeout,
// --weft_perturb_seed, with the values that options.h describes. An impossible
// value is kept in `error`.
Options OptionsFromFlags();

}  // namespace weft

#endif  // WEFT_RUNTIME_FLAGS_H_
