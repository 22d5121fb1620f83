// A work-stealing queue (as in CHESS): the owner takes at the end, thieves at
// the beginning. For the last item both have to compete for the beginning; an
// owner that just takes it shares it with a thief.
#ifndef WEFT_TESTS_BUGS_WORK_STEALING_H_
#define WEFT_TESTS_BUGS_WORK_STEALING_H_

#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <bool repaired>
class StealableQueue {
 public:
  static constexpr int kNothing = -1;

  void Push(int item) {
    const int end = end_.load();
    items_[end].store(item);
    end_.store(end + 1);
  }
  int Take() {
    const int end = end_.load() - 1;
    end_.store(end);
    int begin = begin_.load();
    if (begin < end) return items_[end].load();
    bool mine = begin == end;
    if (mine && repaired) {
      mine = begin_.compare_exchange_strong(begin, begin + 1);
    }
    // Empty now.
    end_.store(end + 1);
    if (!repaired && mine) begin_.store(end + 1);
    return mine ? items_[end].load() : kNothing;
  }
  int Steal() {
    int begin = begin_.load();
    if (begin >= end_.load()) return kNothing;
    const int item = items_[begin].load();
    return begin_.compare_exchange_strong(begin, begin + 1) ? item : kNothing;
  }

 private:
  Shared<int> begin_{0};
  Shared<int> end_{0};
  Shared<int> items_[4] = {kNothing, kNothing, kNothing, kNothing};
};

template <bool repaired>
void WorkStealing(Sim& io) {
  constexpr int kItems = 2;
  StealableQueue<repaired> queue;
  Shared<int> taken[kItems] = {0, 0};
  const auto use = [&](int item) {
    if (item == queue.kNothing) return;
    Expect(io, taken[item].fetch_add(1) == 0, "an item was taken twice");
  };
  const auto own = [&] {
    for (int i = 0; i < kItems; ++i) queue.Push(i);
    for (int i = 0; i < kItems; ++i) use(queue.Take());
  };
  const auto steal = [&] {
    for (int i = 0; i < kItems; ++i) use(queue.Steal());
  };
  Together(io, own, steal);
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_WORK_STEALING_H_
