// EXPECT: weft: a branch of a Select is made inside the call
#include "weft/backends/evented/evented.h"
#include "weft/sync/select.h"

#ifdef WEFT_CONTROL
void Use(weft::Evented& io, weft::Event<weft::Evented>& event) {
  (void)weft::Select(io, weft::OnEvent(event));
}
#else
void Use(weft::Evented& io, weft::Event<weft::Evented>& event) {
  auto branch = weft::OnEvent(event);
  (void)weft::Select(io, branch);
}
#endif
