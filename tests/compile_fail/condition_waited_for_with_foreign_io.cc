// EXPECT: weft: a primitive of one backend was used with the Io of another
// EXPECT: docs/crossing.md
// EXPECT: NoCrossing<weft::Evented, weft::Threaded>
#include "weft/backends/evented/evented.h"
#include "weft/backends/threaded/threaded.h"
#include "weft/sync/condition.h"

#ifdef WEFT_CONTROL
absl::Status Use(weft::Evented& io, weft::Condition<weft::Evented>& condition,
                 weft::Mutex<weft::Evented>& mutex) {
  return condition.Wait(io, mutex, [] { return true; });
}
#else
absl::Status Use(weft::Threaded& io, weft::Condition<weft::Evented>& condition,
                 weft::Mutex<weft::Evented>& mutex) {
  return condition.Wait(io, mutex, [] { return true; });
}
#endif
