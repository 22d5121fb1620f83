// EXPECT: weft: a primitive of one backend was used with the Io of another
// EXPECT: docs/crossing.md
// EXPECT: NoCrossing<weft::Evented, weft::Threaded>
#include "weft/backends/evented/evented.h"
#include "weft/backends/threaded/threaded.h"
#include "weft/sync/barrier.h"

#ifdef WEFT_CONTROL
void Use(weft::Evented& io, weft::Barrier<weft::Evented>& barrier) {
  (void)barrier.Wait(io);
}
#else
void Use(weft::Threaded& io, weft::Barrier<weft::Evented>& barrier) {
  (void)barrier.Wait(io);
}
#endif
