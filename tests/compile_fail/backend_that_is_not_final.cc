// EXPECT: constraint
// EXPECT: Backend
#include "weft/backends/threaded/threaded.h"
#include "weft/sync/mutex.h"

#ifdef WEFT_CONTROL
weft::Mutex<weft::Threaded> mutex;
#else
class Open : public weft::Io {};
weft::Mutex<Open> mutex;
#endif
