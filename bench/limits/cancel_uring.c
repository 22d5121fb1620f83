// A ring of io_uring for each thread: a receive, and a read of an eventfd that
// is always there and to which a cancel writes.
//
// One system call per read, waiting included, and no race: the receive is
// cancelled by the thread itself. Each thread pays for a ring, about 50 KiB and
// one more descriptor, and a machine that refuses io_uring cannot do it at all.
#define _GNU_SOURCE
#include <liburing.h>
#include <sys/eventfd.h>

#include "cancel.h"

enum { kWake = 1, kReceive = 2, kCancelled = 3 };

struct State {
  struct io_uring ring;
  int wake;
  uint64_t wake_count;
  bool woken;
};

static void ArmWake(struct State* own) {
  struct io_uring_sqe* const entry = io_uring_get_sqe(&own->ring);
  io_uring_prep_read(entry, own->wake, &own->wake_count, sizeof own->wake_count,
                     0);
  io_uring_sqe_set_data64(entry, kWake);
}

static void SetUp(void* state) {
  struct State* const own = state;
  const int result = io_uring_queue_init(
      8, &own->ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
  if (result < 0) DieUnavailable("io_uring is refused");
  io_uring_register_ring_fd(&own->ring);
  own->wake = eventfd(0, EFD_CLOEXEC);
  if (own->wake < 0) Die("eventfd", errno);
  ArmWake(own);
}

static ssize_t Read(void* state, int fd, void* data, size_t size) {
  struct State* const own = state;
  struct io_uring_sqe* entry = io_uring_get_sqe(&own->ring);
  io_uring_prep_recv(entry, fd, data, size, 0);
  io_uring_sqe_set_data64(entry, kReceive);
  bool cancelling = false;
  for (;;) {
    const int result = io_uring_submit_and_wait(&own->ring, 1);
    if (result < 0 && result != -EINTR) Die("io_uring_enter", -result);
    struct io_uring_cqe* completion;
    while (io_uring_peek_cqe(&own->ring, &completion) == 0) {
      const uint64_t what = completion->user_data;
      const int outcome = completion->res;
      io_uring_cqe_seen(&own->ring, completion);
      if (what == kWake) own->woken = true;
      if (what == kReceive) return outcome;
    }
    if (own->woken && !cancelling) {
      cancelling = true;
      entry = io_uring_get_sqe(&own->ring);
      io_uring_prep_cancel64(entry, kReceive, 0);
      entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
      io_uring_sqe_set_data64(entry, kCancelled);
    }
  }
}

static void Cancel(void* state) {
  const struct State* const own = state;
  const uint64_t one = 1;
  if (write(own->wake, &one, sizeof one) != sizeof one) Die("write", errno);
}

static void Clear(void* state) {
  struct State* const own = state;
  own->woken = false;
  ArmWake(own);
}

int main(int argc, char** argv) {
  struct State state = {0};
  const struct Way way = {.name = "uring",
                          .state = &state,
                          .set_up = SetUp,
                          .read = Read,
                          .cancel = Cancel,
                          .clear = Clear};
  return Measure(&way, argc, argv);
}
