// SCTBench stack: a flag says that something was pushed once; who pops takes it
// for "there is something now".
#ifndef WEFT_TESTS_BUGS_STACK_H_
#define WEFT_TESTS_BUGS_STACK_H_

#include "weft/sync/mutex.h"
#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <bool repaired>
void Stack(Sim& io) {
  constexpr int kTimes = 3;
  Mutex<Sim> mutex;
  int size = 0;
  bool pushed = false;
  const auto push = [&] {
    for (int i = 0; i < kTimes; ++i) {
      const MutexLock lock(mutex, io);
      ++size;
      pushed = true;
    }
  };
  const auto pop = [&] {
    for (int i = 0; i < kTimes; ++i) {
      const MutexLock lock(mutex, io);
      if (repaired ? size == 0 : !pushed) continue;
      --size;
      Expect(io, size >= 0, "popped from an empty stack");
    }
  };
  Together(io, push, pop);
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_STACK_H_
