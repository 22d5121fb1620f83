// Two tasks take two locks in opposite order, each after some other work.
#ifndef WEFT_TESTS_BUGS_OPPOSITE_LOCKS_H_
#define WEFT_TESTS_BUGS_OPPOSITE_LOCKS_H_

#include "weft/sync/mutex.h"
#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <bool repaired>
void OppositeLocks(Sim& io) {
  Mutex<Sim> accounts;
  Mutex<Sim> journal;
  Shared<int> work{0};
  const auto book = [&] {
    work.fetch_add(1);
    const MutexLock first(accounts, io);
    const MutexLock second(journal, io);
  };
  const auto audit = [&] {
    work.fetch_add(1);
    const MutexLock first(repaired ? accounts : journal, io);
    const MutexLock second(repaired ? journal : accounts, io);
  };
  Together(io, book, audit);
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_OPPOSITE_LOCKS_H_
