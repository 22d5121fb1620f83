// EXPECT: weft: a primitive of one backend was used with the Io of another
// EXPECT: docs/crossing.md
// EXPECT: NoCrossing<weft::Evented, weft::Threaded>
#include "weft/backends/evented/evented.h"
#include "weft/backends/threaded/threaded.h"
#include "weft/sync/condition.h"

#ifdef WEFT_CONTROL
void Use(weft::Evented& io, weft::Condition<weft::Evented>& condition) {
  condition.NotifyAll(io);
}
#else
void Use(weft::Threaded& io, weft::Condition<weft::Evented>& condition) {
  condition.NotifyAll(io);
}
#endif
