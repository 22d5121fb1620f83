// EXPECT: weft: a primitive of one backend was used with the Io of another
// EXPECT: docs/crossing.md
// EXPECT: NoCrossing<weft::Evented, weft::Threaded>
#include "weft/backends/evented/evented.h"
#include "weft/backends/threaded/threaded.h"
#include "weft/sync/select.h"

#ifdef WEFT_CONTROL
void Use(weft::Evented& io, weft::Event<weft::Evented>& event) {
  (void)weft::Select(io, weft::OnEvent(event));
}
#else
void Use(weft::Threaded& io, weft::Event<weft::Evented>& event) {
  (void)weft::Select(io, weft::OnEvent(event));
}
#endif
