// An attempt that does not block, and ppoll on the descriptor and an eventfd
// only where there was nothing: what weft's Threaded does.
#define _GNU_SOURCE
#include "cancel_eventfd.h"

static ssize_t Read(void* state, int fd, void* data, size_t size) {
  for (;;) {
    const ssize_t result = recv(fd, data, size, MSG_DONTWAIT);
    if (result >= 0) return result;
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return -errno;
    const int waited = EventfdWait(state, fd);
    if (waited < 0) return waited;
  }
}

int main(int argc, char** argv) {
  struct EventfdState state = {0};
  const struct Way way = {.name = "attempt",
                          .state = &state,
                          .set_up = EventfdSetUp,
                          .read = Read,
                          .cancel = EventfdCancel,
                          .clear = EventfdClear};
  return Measure(&way, argc, argv);
}
