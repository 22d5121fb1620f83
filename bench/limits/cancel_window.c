// A plain read, and a signal whose handler looks where the thread is.
//
// Between the look at the flag and the system call lies a window of a few
// instructions. A handler that finds the thread in it sends it to the way out
// instead; later, the kernel returns EINTR. One system call, one signal and no
// race, as in the C libraries' own thread cancellation. The price: assembly for
// each processor, a handler for the process that rewrites registers, and system
// calls that go around the C library (and a sanitizer).
#define _GNU_SOURCE
#include <signal.h>
#include <ucontext.h>

#include "cancel.h"

#ifdef __x86_64__

struct State {
  pthread_t reader;
  atomic_int cancelled;
};

// read(2), or -ECANCELED if `*cancelled` is set before the kernel has begun.
ssize_t WindowRead(int fd, void* data, size_t size,
                   const atomic_int* cancelled);
extern const char kWindowBegin[];
extern const char kWindowEnd[];
extern const char kWindowCancelled[];

_Static_assert(ECANCELED == 125, "the assembly has the number");
__asm__(
    ".text\n"
    ".globl WindowRead, kWindowBegin, kWindowEnd, kWindowCancelled\n"
    ".type WindowRead, @function\n"
    "WindowRead:\n"
    "  xorl %eax, %eax\n"  // SYS_read
    "kWindowBegin:\n"
    "  cmpl $0, (%rcx)\n"
    "  jne kWindowCancelled\n"
    "  syscall\n"
    "kWindowEnd:\n"
    "  ret\n"
    "kWindowCancelled:\n"
    "  movq $-125, %rax\n"
    "  ret\n"
    ".size WindowRead, .-WindowRead\n");

static void OnSignal(int signal, siginfo_t* info, void* context) {
  (void)signal;
  (void)info;
  greg_t* const at = &((ucontext_t*)context)->uc_mcontext.gregs[REG_RIP];
  if (*at >= (greg_t)kWindowBegin && *at < (greg_t)kWindowEnd) {
    *at = (greg_t)kWindowCancelled;
  }
}

static void SetUp(void* state) {
  struct State* const own = state;
  own->reader = pthread_self();
  const struct sigaction action = {.sa_sigaction = OnSignal,
                                   .sa_flags = SA_SIGINFO};
  if (sigaction(SIGRTMIN, &action, NULL) < 0) Die("sigaction", errno);
}

static ssize_t Read(void* state, int fd, void* data, size_t size) {
  struct State* const own = state;
  for (;;) {
    const ssize_t result = WindowRead(fd, data, size, &own->cancelled);
    if (result != -EINTR) return result;
  }
}

static void Cancel(void* state) {
  struct State* const own = state;
  atomic_store(&own->cancelled, 1);
  const int error = pthread_kill(own->reader, SIGRTMIN);
  if (error != 0) Die("pthread_kill", error);
}

static void Clear(void* state) {
  struct State* const own = state;
  atomic_store(&own->cancelled, 0);
}

int main(int argc, char** argv) {
  struct State state = {0};
  const struct Way way = {.name = "window",
                          .state = &state,
                          .set_up = SetUp,
                          .read = Read,
                          .cancel = Cancel,
                          .clear = Clear};
  return Measure(&way, argc, argv);
}

#else

int main(void) { DieUnavailable("the window is written for x86-64 only"); }

#endif
