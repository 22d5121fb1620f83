// Lazy initialisation (SCTBench lazy01): both look before the lock and do not
// look again behind it, so it happens twice.
#ifndef WEFT_TESTS_BUGS_LAZY_INIT_H_
#define WEFT_TESTS_BUGS_LAZY_INIT_H_

#include "weft/sync/mutex.h"
#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <bool repaired>
void LazyInit(Sim& io) {
  Mutex<Sim> mutex;
  Shared<bool> initialised{false};
  int times = 0;
  const auto use = [&] {
    if (initialised.load()) return;
    const MutexLock lock(mutex, io);
    if (repaired && initialised.load()) return;
    ++times;
    initialised.store(true);
  };
  Together(io, use, use);
  Expect(io, times == 1, "initialised twice");
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_LAZY_INIT_H_
