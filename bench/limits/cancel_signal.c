// An attempt that does not block, and a ppoll that lets a signal in which is
// blocked everywhere else.
//
// No race and no sending again: a signal that comes early stays pending, and
// ppoll returns EINTR for it. But the signal needs a handler in the process,
// and a mask in the thread.
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>

#include "cancel.h"

struct State {
  pthread_t reader;
  sigset_t unblocked;
  atomic_bool cancelled;
};

static void OnSignal(int signal) { (void)signal; }

static void SetUp(void* state) {
  struct State* const own = state;
  own->reader = pthread_self();
  const struct sigaction action = {.sa_handler = OnSignal};
  sigset_t ours;
  sigemptyset(&ours);
  sigaddset(&ours, SIGRTMIN);
  if (sigaction(SIGRTMIN, &action, NULL) < 0) Die("sigaction", errno);
  pthread_sigmask(SIG_BLOCK, &ours, &own->unblocked);
  sigdelset(&own->unblocked, SIGRTMIN);
}

static ssize_t Read(void* state, int fd, void* data, size_t size) {
  struct State* const own = state;
  for (;;) {
    const ssize_t result = recv(fd, data, size, MSG_DONTWAIT);
    if (result >= 0) return result;
    if (errno != EAGAIN && errno != EINTR) return -errno;
    if (atomic_load(&own->cancelled)) return -ECANCELED;
    struct pollfd watched = {.fd = fd, .events = POLLIN};
    if (ppoll(&watched, 1, NULL, &own->unblocked) < 0 && errno != EINTR) {
      return -errno;
    }
  }
}

static void Cancel(void* state) {
  struct State* const own = state;
  atomic_store(&own->cancelled, true);
  const int error = pthread_kill(own->reader, SIGRTMIN);
  if (error != 0) Die("pthread_kill", error);
}

static void Clear(void* state) {
  struct State* const own = state;
  atomic_store(&own->cancelled, false);
  // The read may have seen the flag before the signal.
  sigset_t ours;
  sigemptyset(&ours);
  sigaddset(&ours, SIGRTMIN);
  const struct timespec at_once = {0};
  while (sigtimedwait(&ours, NULL, &at_once) > 0) {
  }
}

int main(int argc, char** argv) {
  struct State state = {0};
  const struct Way way = {.name = "signal",
                          .state = &state,
                          .set_up = SetUp,
                          .read = Read,
                          .cancel = Cancel,
                          .clear = Clear};
  return Measure(&way, argc, argv);
}
