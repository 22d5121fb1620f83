// EXPECT: weft: a task or a channel of one backend was given something
// EXPECT: that belongs to another backend
// EXPECT: docs/crossing.md
// EXPECT: NoForeignArgument<weft::Threaded, weft::Evented>
#include <functional>

#include "weft/backends/evented/evented.h"
#include "weft/backends/threaded/threaded.h"
#include "weft/runtime/task_group.h"

#ifdef WEFT_CONTROL
void Use(weft::TaskGroup<weft::Threaded>& group, weft::Threaded& io) {
  group.Spawn([](weft::Threaded&, weft::Threaded&) {}, std::ref(io));
}
#else
void Use(weft::TaskGroup<weft::Threaded>& group, weft::Evented& io) {
  group.Spawn([](weft::Threaded&, weft::Evented&) {}, std::ref(io));
}
#endif
