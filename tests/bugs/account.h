// SCTBench account: a deposit computes the new balance from one that it read
// before it took the lock.
#ifndef WEFT_TESTS_BUGS_ACCOUNT_H_
#define WEFT_TESTS_BUGS_ACCOUNT_H_

#include "weft/sync/mutex.h"
#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <bool repaired>
void Account(Sim& io) {
  Mutex<Sim> mutex;
  Shared<int> balance{1};
  const auto change = [&](int by) {
    const int before = balance.load();
    const MutexLock lock(mutex, io);
    balance.store((repaired ? balance.load() : before) + by);
  };
  const auto deposit = [&] { change(2); };
  const auto withdraw = [&] { change(-4); };
  Together(io, deposit, withdraw);
  Expect(io, balance.load() == -1, "money was lost");
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_ACCOUNT_H_
