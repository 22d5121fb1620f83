// EXPECT: weft: a task or a channel of one backend was given something
// EXPECT: that belongs to another backend
// EXPECT: docs/crossing.md
// EXPECT: NoForeignArgument<weft::Evented, weft::Threaded>
#include <functional>

#include "weft/backends/evented/evented.h"
#include "weft/backends/threaded/threaded.h"
#include "weft/runtime/future.h"
#include "weft/sync/channel.h"

#ifdef WEFT_CONTROL
void Use(weft::Evented& io, weft::Channel<int, weft::Evented>& channel) {
  weft::Async(
      io, [](weft::Channel<int, weft::Evented>&) {}, std::ref(channel))
      .Await(io);
}
#else
void Use(weft::Evented& io, weft::Channel<int, weft::Threaded>& channel) {
  weft::Async(
      io, [](weft::Channel<int, weft::Threaded>&) {}, std::ref(channel))
      .Await(io);
}
#endif
