// EXPECT: weft: a primitive of one backend was used with the Io of another
// EXPECT: docs/crossing.md
// EXPECT: NoCrossing<weft::Evented, weft::Threaded>
#include <chrono>

#include "weft/backends/evented/evented.h"
#include "weft/backends/threaded/threaded.h"
#include "weft/sync/mutex.h"

#ifdef WEFT_CONTROL
void Use(weft::Evented& io, weft::Mutex<weft::Evented>& mutex) {
  if (mutex.TryLock(io) || mutex.TryLockFor(io, std::chrono::seconds(1))) {
    mutex.Unlock(io);
  }
}
#else
void Use(weft::Threaded& io, weft::Mutex<weft::Evented>& mutex) {
  if (mutex.TryLock(io) || mutex.TryLockFor(io, std::chrono::seconds(1))) {
    mutex.Unlock(io);
  }
}
#endif
