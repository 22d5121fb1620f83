// EXPECT: weft: a primitive that belongs to a backend was given a plain Io&
// EXPECT: docs/crossing.md
// EXPECT: NoCrossing<weft::Threaded, weft::Io>
#include "weft/backends/threaded/threaded.h"
#include "weft/sync/event.h"

#ifdef WEFT_CONTROL
void Use(weft::Threaded& io, weft::Event<weft::Threaded>& event) {
  event.Set(io);
}
#else
void Use(weft::Io& io, weft::Event<weft::Threaded>& event) { event.Set(io); }
#endif
