// TCP echo server, one thread per connection, blocking recv and send: the limit
// of weft's Threaded backend.
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "echo_server.h"

// Shared by all threads. An uncontended add is small against two system calls,
// and the marks need one number at any moment.
static _Atomic uint64_t requests;

static bool SendAll(int fd, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
    if (sent < 0) return false;
    data += sent;
    size -= (size_t)sent;
  }
  return true;
}

static void* Serve(void* argument) {
  const int fd = (int)(intptr_t)argument;
  char buffer[2048];
  for (ssize_t size; (size = recv(fd, buffer, sizeof buffer, 0)) > 0;) {
    if (!SendAll(fd, buffer, (size_t)size)) break;
    atomic_fetch_add_explicit(&requests, 1, memory_order_relaxed);
  }
  close(fd);
  return NULL;
}

// False: no thread or descriptor left, try again later.
static bool AcceptOne(int listener, const pthread_attr_t* attributes) {
  const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (fd < 0) return !IsExhaustion(errno);
  pthread_t thread;
  if (pthread_create(&thread, attributes, Serve, (void*)(intptr_t)fd) == 0) {
    return true;
  }
  close(fd);
  return false;
}

int main(int argc, char** argv) {
  struct Server server = StartServer(ParseOptions(argc, argv), SOCK_NONBLOCK);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, 64 * 1024);

  struct pollfd watched[2] = {{.fd = server.control, .events = POLLIN},
                              {.fd = server.listener, .events = POLLIN}};
  bool accepting = true;
  for (;;) {
    // Nobody tells this thread that a connection closed: look again in 10 ms.
    poll(watched, accepting ? 2 : 1, accepting ? -1 : 10);
    if (!HandleControl(&server, requests)) break;
    accepting = AcceptOne(server.listener, &attributes);
  }
  ReportAndExit(&server, "echo_threads", requests);
}
