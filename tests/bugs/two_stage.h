// SCTBench twostage: writers set a number under one lock and then what follows
// from it under another. A reader that sees the first may come before the
// second. Repaired: one critical section for both.
#ifndef WEFT_TESTS_BUGS_TWO_STAGE_H_
#define WEFT_TESTS_BUGS_TWO_STAGE_H_

#include <cstddef>

#include "weft/sync/mutex.h"
#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <int count, bool repaired>
void TwoStage(Sim& io) {
  Mutex<Sim> first_lock;
  Mutex<Sim> second_lock;
  int first = 0;
  int second = 0;
  const auto set_second = [&] {
    const MutexLock lock(second_lock, io);
    second = first + 1;
  };
  const auto write = [&] {
    {
      const MutexLock lock(first_lock, io);
      first = 1;
      if (repaired) set_second();
    }
    if (!repaired) set_second();
  };
  const auto read = [&] {
    {
      const MutexLock lock(first_lock, io);
      if (first == 0) return;
    }
    const MutexLock lock(second_lock, io);
    Expect(io, second == first + 1, "the second stage is missing");
  };
  ManyAndOne(io, count - 1, write, read);
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_TWO_STAGE_H_
