// What the ways to wake a thread out of a blocked read share: the measuring.
//
// A program of this family names one way in a `struct Way` and calls Measure.
// `<program> <job> <count>` then does one job and prints one line of JSON:
//
//   ready     reads that have data: CPU nanoseconds per read
//   waiting   reads that wait, a byte going to another thread and back: CPU and
//             wall nanoseconds per round trip of the whole process
//   cancels   reads that are cancelled, at a random moment from just before
//             the call to well inside it: microseconds from the cancel to the
//             read having returned
//
// A read that does not come back ends the program with an error after a while.
#ifndef WEFT_BENCH_LIMITS_CANCEL_H_
#define WEFT_BENCH_LIMITS_CANCEL_H_

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

// Status of a program whose processor or kernel lacks what it stands on.
enum { kExitUnavailable = 77 };

// A hung read is reported by the signal that ends the program.
enum { kMostSeconds = 300 };

// One way to make a read that another thread can end. `State` is the way's own
// struct; it begins as zeros and belongs to one thread, which calls `set_up`
// and `read`. A cancel stays until `clear`.
struct Way {
  const char* name;
  void* state;
  void (*set_up)(void* state);
  // As read(2), but the result is -errno, and -ECANCELED after a cancel.
  ssize_t (*read)(void* state, int fd, void* data, size_t size);
  // Called by another thread; null for a way that cannot. May wait until the
  // reader has answered.
  void (*cancel)(void* state);
  void (*clear)(void* state);
};

static _Noreturn void Die(const char* what, int error) {
  fprintf(stderr, "%s: %s\n", what, strerror(error));
  exit(EXIT_FAILURE);
}

static _Noreturn void DieUnavailable(const char* why) {
  fprintf(stderr, "%s\n", why);
  exit(kExitUnavailable);
}

static uint64_t Nanoseconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void MakePair(int fds[2]) {
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
    Die("socketpair", errno);
  }
}

static void SendByte(int fd) {
  if (send(fd, "x", 1, MSG_NOSIGNAL) != 1) Die("send", errno);
}

static void ReadByte(const struct Way* way, int fd) {
  char byte;
  const ssize_t result = way->read(way->state, fd, &byte, 1);
  if (result != 1) Die("read", result < 0 ? (int)-result : EPIPE);
}

static void MeasureReady(const struct Way* way, uint64_t count) {
  enum { kBatch = 4096 };
  static const char bytes[kBatch];
  int fds[2];
  MakePair(fds);
  way->set_up(way->state);
  uint64_t spent = 0;
  for (uint64_t done = 0; done < count; done += kBatch) {
    if (send(fds[1], bytes, kBatch, 0) != kBatch) Die("send", errno);
    const uint64_t start = Nanoseconds(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < kBatch; ++i) ReadByte(way, fds[0]);
    spent += Nanoseconds(CLOCK_THREAD_CPUTIME_ID) - start;
  }
  const uint64_t reads = (count + kBatch - 1) / kBatch * kBatch;
  printf("{\"way\": \"%s\", \"job\": \"ready\", \"cpu_ns\": %.1f}\n", way->name,
         (double)spent / (double)reads);
}

static void* Echo(void* argument) {
  const int fd = *(int*)argument;
  char byte;
  while (recv(fd, &byte, 1, 0) == 1) SendByte(fd);
  return NULL;
}

static void MeasureWaiting(const struct Way* way, uint64_t count) {
  int fds[2];
  MakePair(fds);
  way->set_up(way->state);
  pthread_t echo;
  if (pthread_create(&echo, NULL, Echo, &fds[1]) != 0) Die("thread", EAGAIN);
  const uint64_t cpu = Nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
  const uint64_t wall = Nanoseconds(CLOCK_MONOTONIC);
  for (uint64_t i = 0; i < count; ++i) {
    SendByte(fds[0]);
    ReadByte(way, fds[0]);
  }
  printf(
      "{\"way\": \"%s\", \"job\": \"waiting\", \"cpu_ns\": %.1f, "
      "\"wall_ns\": %.1f}\n",
      way->name,
      (double)(Nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (double)count,
      (double)(Nanoseconds(CLOCK_MONOTONIC) - wall) / (double)count);
  shutdown(fds[0], SHUT_RDWR);
  pthread_join(echo, NULL);
}

// The reading thread of MeasureCancels. It counts `entered` up when it is about
// to read, and `left` when the read was cancelled.
struct Reader {
  const struct Way* way;
  int fd;
  uint64_t count;
  _Atomic uint64_t entered;
  _Atomic uint64_t left;
  uint64_t returned_at;
  _Atomic uint64_t cancel_done;
};

static void AwaitCount(const _Atomic uint64_t* counter, uint64_t value) {
  while (atomic_load(counter) < value) sched_yield();
}

static void* ReadForEver(void* argument) {
  struct Reader* const reader = argument;
  const struct Way* const way = reader->way;
  way->set_up(way->state);
  for (uint64_t round = 1; round <= reader->count; ++round) {
    atomic_store(&reader->entered, round);
    char byte;
    const ssize_t result = way->read(way->state, reader->fd, &byte, 1);
    reader->returned_at = Nanoseconds(CLOCK_MONOTONIC);
    if (result != -ECANCELED) Die("read", result < 0 ? (int)-result : EPIPE);
    atomic_store(&reader->left, round);
    AwaitCount(&reader->cancel_done, round);
    way->clear(way->state);
  }
  return NULL;
}

static int CompareNumbers(const void* a, const void* b) {
  const uint64_t x = *(const uint64_t*)a;
  const uint64_t y = *(const uint64_t*)b;
  return (x > y) - (x < y);
}

static void MeasureCancels(const struct Way* way, uint64_t count) {
  if (way->cancel == NULL) DieUnavailable("a plain read cannot be cancelled");
  int fds[2];
  MakePair(fds);
  struct Reader reader = {.way = way, .fd = fds[0], .count = count};
  uint64_t* const latency = calloc(count, sizeof *latency);
  pthread_t thread;
  if (latency == NULL ||
      pthread_create(&thread, NULL, ReadForEver, &reader) != 0) {
    Die("cancels", ENOMEM);
  }
  unsigned int seed = 1;
  for (uint64_t round = 1; round <= count; ++round) {
    AwaitCount(&reader.entered, round);
    // Anything from "not in the kernel yet" to "asleep".
    const uint64_t delay = (uint64_t)rand_r(&seed) % 20000u;
    const uint64_t seen = Nanoseconds(CLOCK_MONOTONIC);
    while (Nanoseconds(CLOCK_MONOTONIC) - seen < delay) {
    }
    const uint64_t start = Nanoseconds(CLOCK_MONOTONIC);
    way->cancel(way->state);
    atomic_store(&reader.cancel_done, round);
    AwaitCount(&reader.left, round);
    latency[round - 1] =
        reader.returned_at > start ? reader.returned_at - start : 0;
  }
  pthread_join(thread, NULL);
  qsort(latency, count, sizeof *latency, CompareNumbers);
  printf(
      "{\"way\": \"%s\", \"job\": \"cancels\", \"p50_us\": %.2f, "
      "\"p99_us\": %.2f, \"max_us\": %.2f}\n",
      way->name, (double)latency[count / 2] / 1e3,
      (double)latency[count - 1 - count / 100] / 1e3,
      (double)latency[count - 1] / 1e3);
  free(latency);
}

static int Measure(const struct Way* way, int argc, char** argv) {
  const uint64_t count = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
  if (count == 0) {
    fprintf(stderr, "usage: %s ready|waiting|cancels COUNT\n", argv[0]);
    return EXIT_FAILURE;
  }
  alarm(kMostSeconds);
  if (strcmp(argv[1], "ready") == 0) {
    MeasureReady(way, count);
  } else if (strcmp(argv[1], "waiting") == 0) {
    MeasureWaiting(way, count);
  } else if (strcmp(argv[1], "cancels") == 0) {
    MeasureCancels(way, count);
  } else {
    fprintf(stderr, "%s: no such job\n", argv[1]);
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}

#endif  // WEFT_BENCH_LIMITS_CANCEL_H_
