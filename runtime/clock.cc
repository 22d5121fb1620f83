#include "weft/runtime/clock.h"

#include <time.h>

namespace weft::internal {
namespace {

Duration Read(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return std::chrono::seconds(now.tv_sec) +
         std::chrono::nanoseconds(now.tv_nsec);
}

}  // namespace

MonotonicTime KernelMonotonicNow() {
  return MonotonicTime(Read(CLOCK_MONOTONIC));
}

MonotonicTime CoarseMonotonicNow() {
  return MonotonicTime(Read(CLOCK_MONOTONIC_COARSE));
}

WallTime KernelWallNow() { return WallTime(Read(CLOCK_REALTIME)); }

}  // namespace weft::internal
