// EXPECT: weft: a task or a channel of one backend was given something
// EXPECT: that belongs to another backend
// EXPECT: docs/crossing.md
// EXPECT: NoForeignArgument<weft::Threaded, weft::Evented>
#include "weft/backends/evented/evented.h"
#include "weft/backends/threaded/threaded.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/mutex.h"

#ifdef WEFT_CONTROL
void Use(weft::TaskGroup<weft::Threaded>& group,
         weft::Mutex<weft::Threaded>* mutex) {
  group.Spawn([](weft::Mutex<weft::Threaded>*) {}, mutex);
}
#else
void Use(weft::TaskGroup<weft::Threaded>& group,
         weft::Mutex<weft::Evented>* mutex) {
  group.Spawn([](weft::Mutex<weft::Evented>*) {}, mutex);
}
#endif
