// The wait that two of the ways have in common: ppoll on the descriptor and on
// an eventfd, to which a cancel writes.
//
// No race: the eventfd stays readable, so a ppoll that begins after the cancel
// returns at once.
#ifndef WEFT_BENCH_LIMITS_CANCEL_EVENTFD_H_
#define WEFT_BENCH_LIMITS_CANCEL_EVENTFD_H_

#include <poll.h>
#include <sys/eventfd.h>

#include "weft/bench/limits/cancel.h"

struct EventfdState {
  int wake;
};

static void EventfdSetUp(void* state) {
  struct EventfdState* const own = state;
  own->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (own->wake < 0) Die("eventfd", errno);
}

static void EventfdCancel(void* state) {
  const struct EventfdState* const own = state;
  const uint64_t one = 1;
  if (write(own->wake, &one, sizeof one) != sizeof one) Die("write", errno);
}

static void EventfdClear(void* state) {
  const struct EventfdState* const own = state;
  uint64_t count;
  if (read(own->wake, &count, sizeof count) < 0) Die("drain", errno);
}

// 0 once `fd` is readable, or -errno.
static int EventfdWait(const struct EventfdState* own, int fd) {
  struct pollfd watched[2] = {{.fd = fd, .events = POLLIN},
                              {.fd = own->wake, .events = POLLIN}};
  while (ppoll(watched, 2, NULL, NULL) < 0) {
    if (errno != EINTR) return -errno;
  }
  return watched[0].revents != 0 ? 0 : -ECANCELED;
}

#endif  // WEFT_BENCH_LIMITS_CANCEL_EVENTFD_H_
