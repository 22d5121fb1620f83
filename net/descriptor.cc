#include "weft/net/descriptor.h"

#include "weft/runtime/internal/sockets.h"

namespace weft::net {

void Descriptor::Close() {
  if (!valid()) return;
  const int fd = Release();
  // What close reports concerns bytes that no socket or pipe has.
  (void)weft::internal::SocketsOf(fd).Close(fd);
}

}  // namespace weft::net
