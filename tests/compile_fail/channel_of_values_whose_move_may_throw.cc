// EXPECT: weft: values of a Channel must be movable without exceptions
#include "weft/backends/threaded/threaded.h"
#include "weft/sync/channel.h"

#ifdef WEFT_CONTROL
struct Value {
  Value(Value&&) noexcept {}
};
weft::Channel<Value, weft::Threaded> channel(1);
#else
struct Value {
  Value(Value&&) {}
};
weft::Channel<Value, weft::Threaded> channel(1);
#endif
