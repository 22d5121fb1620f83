// A plain read and a signal that makes it return EINTR, sent again until the
// reader answers.
//
// The one system call of a plain read. A signal that comes between the look at
// the flag and the call is lost: hence the sending again, 50 µs apart, which
// keeps the canceller busy and sets the worst latency.
#define _GNU_SOURCE
#include <signal.h>

#include "cancel.h"

struct State {
  pthread_t reader;
  atomic_bool cancelled;
  atomic_bool inside;  // between the first look at the flag and the answer
};

static void OnSignal(int signal) { (void)signal; }

static void SetUp(void* state) {
  struct State* const own = state;
  own->reader = pthread_self();
  // Without SA_RESTART.
  const struct sigaction action = {.sa_handler = OnSignal};
  if (sigaction(SIGRTMIN, &action, NULL) < 0) Die("sigaction", errno);
}

static ssize_t Read(void* state, int fd, void* data, size_t size) {
  struct State* const own = state;
  ssize_t result = -EINTR;
  atomic_store(&own->inside, true);
  while (result == -EINTR) {
    if (atomic_load(&own->cancelled)) {
      result = -ECANCELED;
      break;
    }
    result = read(fd, data, size);
    if (result < 0) result = -errno;
  }
  atomic_store(&own->inside, false);
  return result;
}

static void Cancel(void* state) {
  struct State* const own = state;
  const struct timespec pause = {.tv_nsec = 50 * 1000};
  atomic_store(&own->cancelled, true);
  while (atomic_load(&own->inside)) {
    const int error = pthread_kill(own->reader, SIGRTMIN);
    if (error != 0) Die("pthread_kill", error);
    nanosleep(&pause, NULL);
  }
}

static void Clear(void* state) {
  struct State* const own = state;
  atomic_store(&own->cancelled, false);
}

int main(int argc, char** argv) {
  struct State state = {0};
  const struct Way way = {.name = "resend",
                          .state = &state,
                          .set_up = SetUp,
                          .read = Read,
                          .cancel = Cancel,
                          .clear = Clear};
  return Measure(&way, argc, argv);
}
