// EXPECT: holding mutex 'guarded.mutex' exclusively
// FLAGS: -Werror=thread-safety
#include "absl/base/thread_annotations.h"
#include "weft/backends/threaded/threaded.h"
#include "weft/sync/shared_mutex.h"

struct Guarded {
  weft::SharedMutex<weft::Threaded> mutex;
  int value ABSL_GUARDED_BY(mutex) = 0;
};

#ifdef WEFT_CONTROL
void Use(weft::Threaded& io, Guarded& guarded) {
  weft::ExclusiveLock lock(guarded.mutex, io);
  ++guarded.value;
}
#else
void Use(weft::Threaded& io, Guarded& guarded) {
  weft::SharedLock lock(guarded.mutex, io);
  ++guarded.value;
}
#endif
