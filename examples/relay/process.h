// The process itself: its exit codes, its limits and its figures.
#ifndef WEFT_EXAMPLES_RELAY_PROCESS_H_
#define WEFT_EXAMPLES_RELAY_PROCESS_H_

#include <cstdint>

#include "absl/status/status.h"

namespace relay {

// The work failed.
inline constexpr int kExitFailure = 1;
// It could not begin: a bad option, a busy port, a file that cannot be written.
inline constexpr int kExitUsage = 2;

// Raises the soft limit on descriptors to the hard one. RESOURCE_EXHAUSTED if
// that is less than `needed`.
absl::Status RaiseDescriptorLimit(uint64_t needed);

struct Usage {
  uint64_t threads = 0;       // now, those of the kernel for io_uring included
  uint64_t peak_rss_kib = 0;  // VmHWM: the most that was ever resident
  double cpu_us = 0;          // user and system, of all threads, so far
};
Usage ReadUsage();

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_PROCESS_H_
