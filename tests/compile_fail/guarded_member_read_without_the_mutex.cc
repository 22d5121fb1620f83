// EXPECT: requires holding mutex 'mutex_'
// FLAGS: -Werror=thread-safety
#include "weft/backends/threaded/threaded.h"
#include "weft/sync/mutex.h"

class Account {
 public:
  void Add(weft::Threaded& io, int amount) {
    mutex_.Lock(io);
    balance_ += amount;
    mutex_.Unlock(io);
  }
  void AddIfFree(weft::Threaded& io, int amount) {
    if (!mutex_.TryLock(io)) return;
    balance_ += amount;
    mutex_.Unlock(io);
  }

 private:
  weft::Mutex<weft::Threaded> mutex_;
  int balance_ ABSL_GUARDED_BY(mutex_) = 0;

 public:
#ifdef WEFT_CONTROL
  int Balance(weft::Threaded& io) {
    const weft::MutexLock lock(mutex_, io);
    return balance_;
  }
};
#else
  int Balance(weft::Threaded&) { return balance_; }
};
#endif
