// A work-stealing queue of one slot: a thief announces that the slot is free
// before it has read it, and the owner fills it anew.
#ifndef WEFT_TESTS_BUGS_WORK_STEALING_REUSE_H_
#define WEFT_TESTS_BUGS_WORK_STEALING_REUSE_H_

#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <bool repaired>
void WorkStealingReuse(Sim& io) {
  constexpr int kItems = 3;
  Shared<int> slot{0};
  Shared<int> pushed{0};
  Shared<int> stolen{0};
  int sum = 0;
  const auto own = [&] {
    for (int i = 1; i <= kItems; ++i) {
      while (pushed.load() != stolen.load()) io.Yield();
      slot.store(i);
      pushed.store(i);
    }
  };
  const auto steal = [&] {
    for (int i = 1; i <= kItems; ++i) {
      while (pushed.load() < i) io.Yield();
      if (!repaired) stolen.store(i);
      sum += slot.load();
      if (repaired) stolen.store(i);
    }
  };
  Together(io, own, steal);
  Expect(io, sum == 6, "an item was overwritten before it was read");
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_WORK_STEALING_REUSE_H_
