// EXPECT: requires holding mutex 'mutex'
// FLAGS: -Werror=thread-safety
#include "weft/backends/threaded/threaded.h"
#include "weft/sync/condition.h"

#ifdef WEFT_CONTROL
absl::Status Use(weft::Threaded& io, weft::Condition<weft::Threaded>& condition,
                 weft::Mutex<weft::Threaded>& mutex) {
  weft::MutexLock lock(mutex, io);
  return condition.Wait(io, mutex);
}
#else
absl::Status Use(weft::Threaded& io, weft::Condition<weft::Threaded>& condition,
                 weft::Mutex<weft::Threaded>& mutex) {
  return condition.Wait(io, mutex);
}
#endif
