#include "weft/runtime/stack_use.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "weft/runtime/internal/guarded_stacks.h"
#include "weft/runtime/internal/stack_measure.h"
#include "weft/runtime/status.h"

namespace weft {
namespace {

using internal::GuardedStacks;

// Entries of /proc/self/pagemap that are read at once; one for each page.
constexpr size_t kEntries = 1024;

// Of an entry, proc_pid_pagemap(5): the page is in memory, or was and is
// swapped out. mincore(2) would know only of the former.
constexpr uint64_t kTouched = uint64_t{3} << 62;

struct Pagemap {
  Pagemap() : fd(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)) {}
  ~Pagemap() {
    if (fd >= 0) close(fd);
  }
  const int fd;
};

absl::Status OpenFailed() {
  return absl::FailedPreconditionError(
      absl::StrCat("stacks cannot be measured: ",
                   ErrnoStatus(errno, "open /proc/self/pagemap").message()));
}

// How far down from its upper end the stack was touched, in bytes.
absl::StatusOr<size_t> Touched(const GuardedStacks::Bounds& stack) {
  const Pagemap pagemap;
  if (pagemap.fd < 0) return OpenFailed();
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const auto end = reinterpret_cast<uintptr_t>(stack.end);
  std::vector<uint64_t> entries(kEntries);
  uintptr_t at = reinterpret_cast<uintptr_t>(stack.begin);
  while (at < end) {
    const size_t wanted = std::min(kEntries, (end - at) / page);
    const ssize_t size =
        pread(pagemap.fd, entries.data(), wanted * sizeof(uint64_t),
              static_cast<off_t>(at / page * sizeof(uint64_t)));
    if (size <= 0) return OpenFailed();
    for (size_t i = 0; i < static_cast<size_t>(size) / sizeof(uint64_t); ++i) {
      if ((entries[i] & kTouched) != 0) return end - at;
      at += page;
    }
  }
  return 0;
}

using Place = std::pair<const char*, int>;

struct Report {
  std::mutex mutex;
  absl::flat_hash_map<Place, StackUse> uses;  // guarded by mutex
};

Report& TheReport() {
  static auto& report = *new Report();
  return report;
}

}  // namespace

namespace internal {

absl::Status CheckStacksCanBeMeasured() {
  const Pagemap pagemap;
  return pagemap.fd < 0 ? OpenFailed() : absl::OkStatus();
}

void NoteStackUse(const Task& task) {
  const GuardedStacks::Bounds stack =
      GuardedStacks::FindStack(__builtin_frame_address(0));
  if (!stack.measured) return;
  const absl::StatusOr<size_t> used = Touched(stack);
  // Short of descriptors or memory, say.
  if (!used.ok()) return;
  const SourceLocation where = task.where();
  Report& report = TheReport();
  const std::lock_guard lock(report.mutex);
  StackUse& use = report.uses[{where.file, where.line}];
  use.where = where;
  ++use.tasks;
  if (*used < use.most_used) return;
  use.most_used = *used;
  use.stack_size = stack.stack_size;
}

}  // namespace internal

std::string ToString(const StackUse& use) {
  return absl::StrCat(use.most_used, " of ", use.stack_size,
                      " bytes of stack at most by ", use.tasks,
                      use.tasks == 1 ? " task" : " tasks", " spawned at ",
                      ToString(use.where));
}

std::vector<StackUse> StackUseReport() {
  std::vector<StackUse> uses;
  {
    Report& report = TheReport();
    const std::lock_guard lock(report.mutex);
    for (const auto& [place, use] : report.uses) uses.push_back(use);
  }
  std::sort(uses.begin(), uses.end(), [](const auto& a, const auto& b) {
    return a.most_used > b.most_used;
  });
  return uses;
}

absl::StatusOr<size_t> StackUsed(Io& io) {
  io.CurrentTask("StackUsed");
  const GuardedStacks::Bounds stack =
      GuardedStacks::FindStack(__builtin_frame_address(0));
  if (!stack.measured) {
    return absl::FailedPreconditionError(
        "stacks are not measured: set the option measure_stacks");
  }
  return Touched(stack);
}

}  // namespace weft
