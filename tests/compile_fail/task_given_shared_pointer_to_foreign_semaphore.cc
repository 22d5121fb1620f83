// EXPECT: weft: a task or a channel of one backend was given something
// EXPECT: that belongs to another backend
// EXPECT: docs/crossing.md
// EXPECT: NoForeignArgument<weft::Evented, weft::Threaded>
#include <memory>
#include <utility>

#include "weft/backends/evented/evented.h"
#include "weft/backends/threaded/threaded.h"
#include "weft/runtime/future.h"
#include "weft/sync/semaphore.h"

#ifdef WEFT_CONTROL
using Shared = std::shared_ptr<weft::Semaphore<weft::Evented>>;
bool Use(weft::Evented& io, Shared permits) {
  return weft::Concurrent(
             io, [](Shared) {}, std::move(permits))
      .ok();
}
#else
using Shared = std::shared_ptr<weft::Semaphore<weft::Threaded>>;
bool Use(weft::Evented& io, Shared permits) {
  return weft::Concurrent(
             io, [](Shared) {}, std::move(permits))
      .ok();
}
#endif
