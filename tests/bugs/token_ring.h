// SCTBench token_ring: each task makes its number one more than that of its
// neighbour, in no order. Repaired: each waits for its neighbour.
#ifndef WEFT_TESTS_BUGS_TOKEN_RING_H_
#define WEFT_TESTS_BUGS_TOKEN_RING_H_

#include <array>
#include <cstddef>

#include "weft/sync/event.h"
#include "weft/sync/mutex.h"
#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <bool repaired>
void TokenRing(Sim& io) {
  constexpr size_t kTasks = 4;
  Mutex<Sim> mutex;
  std::array<Event<Sim>, kTasks> passed;
  std::array<int, kTasks> numbers = {1, 2, 3, 4};
  Each(io, kTasks, [&](size_t i) {
    if (repaired && i > 0) (void)passed[i - 1].Wait(io);
    {
      const MutexLock lock(mutex, io);
      numbers[i] = numbers[(i + kTasks - 1) % kTasks] + 1;
    }
    passed[i].Set(io);
  });
  for (size_t i = 1; i < kTasks; ++i) {
    Expect(io, numbers[i] == numbers[i - 1] + 1, "the ring is broken");
  }
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_TOKEN_RING_H_
