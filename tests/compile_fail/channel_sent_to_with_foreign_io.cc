// EXPECT: weft: a primitive of one backend was used with the Io of another
// EXPECT: docs/crossing.md
// EXPECT: NoCrossing<weft::Evented, weft::Threaded>
#include "weft/backends/evented/evented.h"
#include "weft/backends/threaded/threaded.h"
#include "weft/sync/channel.h"

#ifdef WEFT_CONTROL
absl::Status Use(weft::Evented& io,
                 weft::Channel<int, weft::Evented>& channel) {
  return channel.Send(io, 1);
}
#else
absl::Status Use(weft::Threaded& io,
                 weft::Channel<int, weft::Evented>& channel) {
  return channel.Send(io, 1);
}
#endif
