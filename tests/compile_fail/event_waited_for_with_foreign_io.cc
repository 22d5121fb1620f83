// EXPECT: weft: a primitive of one backend was used with the Io of another
// EXPECT: docs/crossing.md
// EXPECT: NoCrossing<weft::Threaded, weft::Evented>
#include "weft/backends/evented/evented.h"
#include "weft/backends/threaded/threaded.h"
#include "weft/sync/event.h"

#ifdef WEFT_CONTROL
absl::Status Use(weft::Threaded& io, weft::Event<weft::Threaded>& event) {
  return event.Wait(io);
}
#else
absl::Status Use(weft::Evented& io, weft::Event<weft::Threaded>& event) {
  return event.Wait(io);
}
#endif
