// Dining philosophers: everybody takes the fork at his left first. Repaired:
// everybody takes the fork with the lower number first.
#ifndef WEFT_TESTS_BUGS_PHILOSOPHERS_H_
#define WEFT_TESTS_BUGS_PHILOSOPHERS_H_

#include <array>
#include <cstddef>
#include <utility>

#include "weft/sync/mutex.h"
#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <int count, bool repaired>
void Philosophers(Sim& io) {
  std::array<Mutex<Sim>, count> forks;
  Each(io, count, [&](size_t i) {
    size_t first = i;
    size_t second = (i + 1) % count;
    if (repaired && second < first) std::swap(first, second);
    const MutexLock one(forks[first], io);
    const MutexLock other(forks[second], io);
  });
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_PHILOSOPHERS_H_
