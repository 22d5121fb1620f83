// EXPECT: weft: a primitive of one backend was used with the Io of another
// EXPECT: docs/crossing.md
// EXPECT: NoCrossing<weft::Evented, weft::Threaded>
#include "weft/backends/evented/evented.h"
#include "weft/backends/threaded/threaded.h"
#include "weft/sync/once.h"

#ifdef WEFT_CONTROL
void Use(weft::Evented& io, weft::Once<weft::Evented>& once) {
  (void)once.Run(io, [] {});
}
#else
void Use(weft::Threaded& io, weft::Once<weft::Evented>& once) {
  (void)once.Run(io, [] {});
}
#endif
