// EXPECT: weft: a primitive of one backend was used with the Io of another
// EXPECT: docs/crossing.md
// EXPECT: NoCrossing<weft::Evented, weft::Threaded>
#include "weft/backends/evented/evented.h"
#include "weft/backends/threaded/threaded.h"
#include "weft/sync/shared_mutex.h"

#ifdef WEFT_CONTROL
void Use(weft::Evented& io, weft::SharedMutex<weft::Evented>& mutex) {
  weft::SharedLock lock(mutex, io);
}
#else
void Use(weft::Threaded& io, weft::SharedMutex<weft::Evented>& mutex) {
  weft::SharedLock lock(mutex, io);
}
#endif
