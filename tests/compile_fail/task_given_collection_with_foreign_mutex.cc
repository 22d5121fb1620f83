// EXPECT: weft: a task or a channel of one backend was given something
// EXPECT: NoForeignArgument<weft::Evented, weft::Threaded>
#include <array>
#include <utility>

#include "weft/backends/evented/evented.h"
#include "weft/backends/threaded/threaded.h"
#include "weft/runtime/future.h"
#include "weft/sync/mutex.h"

#ifdef WEFT_CONTROL
using Second = weft::Evented;
#else
using Second = weft::Threaded;
#endif

// The foreign one stands behind one of the task's own backend.
using Both = std::pair<weft::Mutex<weft::Evented>*,
                       std::array<weft::Mutex<Second>*, 2>>;

void Use(weft::Evented& io, const Both& both) {
  weft::Async(io, [](const Both&) {}, both).Await(io);
}
