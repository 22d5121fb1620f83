// EXPECT: weft: a primitive of one backend was used with the Io of another
// EXPECT: docs/crossing.md
// EXPECT: NoCrossing<weft::Threaded, weft::Evented>
#include "weft/backends/evented/evented.h"
#include "weft/backends/threaded/threaded.h"
#include "weft/sync/channel.h"

#ifdef WEFT_CONTROL
absl::Status Use(weft::Threaded& io,
                 weft::Channel<int, weft::Threaded>& channel) {
  return channel.Receive(io).status();
}
#else
absl::Status Use(weft::Evented& io,
                 weft::Channel<int, weft::Threaded>& channel) {
  return channel.Receive(io).status();
}
#endif
