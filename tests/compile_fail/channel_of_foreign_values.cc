// EXPECT: weft: a task or a channel of one backend was given something
// EXPECT: that belongs to another backend
// EXPECT: docs/crossing.md
// EXPECT: NoForeignArgument<weft::Threaded, weft::Evented>
#include "weft/backends/evented/evented.h"
#include "weft/backends/threaded/threaded.h"
#include "weft/sync/channel.h"
#include "weft/sync/mutex.h"

#ifdef WEFT_CONTROL
weft::Channel<weft::Mutex<weft::Threaded>*, weft::Threaded> channel(1);
#else
weft::Channel<weft::Mutex<weft::Evented>*, weft::Threaded> channel(1);
#endif
