// SCTBench reorder: several tasks write two words one after the other, and one
// reads them and expects both writes or none.
#ifndef WEFT_TESTS_BUGS_REORDER_H_
#define WEFT_TESTS_BUGS_REORDER_H_

#include <cstddef>

#include "weft/sync/mutex.h"
#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <int count, bool repaired>
void Reorder(Sim& io) {
  Mutex<Sim> mutex;
  Shared<int> a{0};
  Shared<int> b{0};
  const auto write = [&] {
    a.store(1);
    b.store(-1);
  };
  const auto read = [&] {
    const int first = a.load();
    Expect(io, first + b.load() == 0, "one of two writes was seen");
  };
  const auto locked_write = [&] {
    const MutexLock lock(mutex, io);
    write();
  };
  const auto locked_read = [&] {
    const MutexLock lock(mutex, io);
    read();
  };
  if constexpr (repaired) {
    ManyAndOne(io, count - 1, locked_write, locked_read);
  } else {
    ManyAndOne(io, count - 1, write, read);
  }
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_REORDER_H_
