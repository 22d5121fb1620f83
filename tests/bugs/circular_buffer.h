// SCTBench circular_buffer: the reader advances behind the slot before it has
// read it, and the writer overwrites it.
#ifndef WEFT_TESTS_BUGS_CIRCULAR_BUFFER_H_
#define WEFT_TESTS_BUGS_CIRCULAR_BUFFER_H_

#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <bool repaired>
void CircularBuffer(Sim& io) {
  constexpr int kSlots = 2;
  constexpr int kItems = 4;
  Shared<int> slots[kSlots] = {0, 0};
  Shared<int> read{0};
  Shared<int> written{0};
  const auto write = [&] {
    for (int i = 0; i < kItems; ++i) {
      while (written.load() - read.load() == kSlots) io.Yield();
      slots[i % kSlots].store(i);
      written.fetch_add(1);
    }
  };
  const auto take = [&] {
    for (int i = 0; i < kItems; ++i) {
      while (written.load() == i) io.Yield();
      if (!repaired) read.fetch_add(1);
      Expect(io, slots[i % kSlots].load() == i, "a slot was overwritten");
      if (repaired) read.fetch_add(1);
    }
  };
  Together(io, write, take);
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_CIRCULAR_BUFFER_H_
