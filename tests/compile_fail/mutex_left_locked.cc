// EXPECT: mutex 'mutex' is still held at the end of function
// FLAGS: -Werror=thread-safety
#include "weft/backends/threaded/threaded.h"
#include "weft/sync/mutex.h"

#ifdef WEFT_CONTROL
void Use(weft::Threaded& io, weft::Mutex<weft::Threaded>& mutex) {
  mutex.Lock(io);
  mutex.Unlock(io);
}
#else
void Use(weft::Threaded& io, weft::Mutex<weft::Threaded>& mutex) {
  mutex.Lock(io);
}
#endif
