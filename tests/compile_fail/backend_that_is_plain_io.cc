// EXPECT: constraint
// EXPECT: Backend
#include "weft/backends/threaded/threaded.h"
#include "weft/sync/channel.h"

#ifdef WEFT_CONTROL
weft::Channel<int, weft::Threaded> channel(1);
#else
weft::Channel<int, weft::Io> channel(1);
#endif
