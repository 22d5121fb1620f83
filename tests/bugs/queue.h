// SCTBench queue: the writer publishes the new length of the queue before the
// item lies in it.
#ifndef WEFT_TESTS_BUGS_QUEUE_H_
#define WEFT_TESTS_BUGS_QUEUE_H_

#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <bool repaired>
void Queue(Sim& io) {
  constexpr int kItems = 3;
  Shared<int> length{0};
  Shared<int> items[kItems] = {0, 0, 0};
  const auto write = [&] {
    for (int i = 0; i < kItems; ++i) {
      if (!repaired) length.store(i + 1);
      items[i].store(i + 1);
      if (repaired) length.store(i + 1);
    }
  };
  const auto read = [&] {
    const int end = length.load();
    for (int i = 0; i < end; ++i) {
      Expect(io, items[i].load() == i + 1, "an item is not there yet");
    }
  };
  Together(io, write, read);
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_QUEUE_H_
