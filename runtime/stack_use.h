// How much of their stacks tasks use, to choose stack_size by.
//
//   // with Options::measure_stacks
//   for (const weft::StackUse& use : weft::StackUseReport()) {
//     std::cerr << weft::ToString(use) << "\n";
//   }
//
// What counts is which pages of a stack a task has touched. So the figures are
// whole pages, about 2 KiB of them weft's own, and memory that a frame has but
// does not touch is not seen. A stack_size of 16 KiB more than the figure, for
// the guard, would just have been enough.
#ifndef WEFT_RUNTIME_STACK_USE_H_
#define WEFT_RUNTIME_STACK_USE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "weft/runtime/io.h"
#include "weft/runtime/source_location.h"

namespace weft {

// Of the tasks that were spawned at one place and have ended.
struct StackUse {
  SourceLocation where;
  uint64_t tasks = 0;
  // The most that one of them used, in bytes.
  size_t most_used = 0;
  // How large its stack was, guard included, in bytes.
  size_t stack_size = 0;
};

// "65536 of 524288 bytes of stack at most by 3 tasks spawned at relay.cc:42"
std::string ToString(const StackUse& use);

// All tasks of backends of this process with measure_stacks that have ended,
// those that used most first. Any thread; does not block.
std::vector<StackUse> StackUseReport();

// The most bytes of its stack that the calling task has used so far.
// FAILED_PRECONDITION where stacks are not measured: without measure_stacks or
// where /proc/self/pagemap cannot be read. Does not block.
absl::StatusOr<size_t> StackUsed(Io& io);

}  // namespace weft

#endif  // WEFT_RUNTIME_STACK_USE_H_
