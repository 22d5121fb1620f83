// EXPECT: weft: a primitive of one backend was used with the Io of another
// EXPECT: docs/crossing.md
// EXPECT: NoCrossing<weft::Threaded, weft::Evented>
#include "weft/backends/evented/evented.h"
#include "weft/backends/threaded/threaded.h"
#include "weft/runtime/future.h"

#ifdef WEFT_CONTROL
void Use(weft::Threaded& io, weft::Future<int, weft::Threaded>& future) {
  (void)future.Await(io);
}
#else
void Use(weft::Evented& io, weft::Future<int, weft::Threaded>& future) {
  (void)future.Await(io);
}
#endif
