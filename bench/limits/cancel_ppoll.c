// ppoll on the descriptor and an eventfd before each read.
#define _GNU_SOURCE
#include "cancel_eventfd.h"

static ssize_t Read(void* state, int fd, void* data, size_t size) {
  for (;;) {
    const int waited = EventfdWait(state, fd);
    if (waited < 0) return waited;
    // Somebody else may have taken the data since.
    const ssize_t result = recv(fd, data, size, MSG_DONTWAIT);
    if (result >= 0) return result;
    if (errno != EAGAIN && errno != EINTR) return -errno;
  }
}

int main(int argc, char** argv) {
  struct EventfdState state = {0};
  const struct Way way = {.name = "ppoll",
                          .state = &state,
                          .set_up = EventfdSetUp,
                          .read = Read,
                          .cancel = EventfdCancel,
                          .clear = EventfdClear};
  return Measure(&way, argc, argv);
}
