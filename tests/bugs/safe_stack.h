// SafeStack (Dmitry Vyukov; in CHESS and SCTBench): a stack of indices without
// locks, which gives one index to two tasks only after five preemptions or
// more, at the right places. No repair of the algorithm is known: the twin has
// a lock around each operation.
#ifndef WEFT_TESTS_BUGS_SAFE_STACK_H_
#define WEFT_TESTS_BUGS_SAFE_STACK_H_

#include <array>
#include <cstddef>

#include "weft/sync/mutex.h"
#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

class VyukovStack {
 public:
  static constexpr int kNone = -1;
  static constexpr size_t kItems = 3;

  int Pop() {
    while (count_.load() > 1) {
      const int first = head_.load();
      const int second = Next(first).exchange(kNone);
      if (second == kNone) continue;
      int expected = first;
      if (head_.compare_exchange_strong(expected, second)) {
        count_.fetch_sub(1);
        return first;
      }
      Next(first).exchange(second);
    }
    return kNone;
  }
  void Push(int index) {
    int head = head_.load();
    do {
      Next(index).store(head);
    } while (!head_.compare_exchange_strong(head, index));
    count_.fetch_add(1);
  }

 private:
  Shared<int>& Next(int index) { return next_[static_cast<size_t>(index)]; }

  Shared<int> head_{0};
  Shared<int> count_{static_cast<int>(kItems)};
  std::array<Shared<int>, kItems> next_{1, 2, kNone};
};

template <bool repaired>
void SafeStack(Sim& io) {
  Mutex<Sim> mutex;
  VyukovStack stack;
  std::array<Shared<size_t>, VyukovStack::kItems> values{0, 0, 0};
  const auto pop = [&] {
    if (!repaired) return stack.Pop();
    const MutexLock lock(mutex, io);
    return stack.Pop();
  };
  const auto push = [&](int index) {
    if (!repaired) return stack.Push(index);
    const MutexLock lock(mutex, io);
    stack.Push(index);
  };
  Each(io, 3, [&](size_t task) {
    for (int i = 0; i < 2; ++i) {
      int index = pop();
      while (index == VyukovStack::kNone) index = pop();
      Shared<size_t>& value = values[static_cast<size_t>(index)];
      value.store(task);
      Expect(io, value.load() == task, "an index was given to two tasks");
      push(index);
    }
  });
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_SAFE_STACK_H_
