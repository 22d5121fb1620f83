// What the echo servers share: options, the listening socket, the marks that
// bound the measured interval, and the report.
//
// A server prints `listening <port>`, serves until SIGTERM or SIGINT, the end
// of its bound in seconds, or the end of its standard input (where that is a
// pipe or a socket), then prints one JSON line. SIGUSR1 starts the measured
// interval, SIGUSR2 ends it; without them it is the whole run.
#ifndef WEFT_BENCH_LIMITS_ECHO_SERVER_H_
#define WEFT_BENCH_LIMITS_ECHO_SERVER_H_

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

// Status of a server whose kernel or sandbox does not offer what it stands on.
enum { kExitUnavailable = 77 };

struct Options {
  int port;     // 0: any free one
  int cpu;      // -1: not pinned
  int seconds;  // hard bound of the run
  bool multishot;
};

struct Usage {
  uint64_t requests;
  uint64_t user_us;
  uint64_t sys_us;
};

struct Server {
  int listener;
  int control;  // readable when HandleControl has something to do
  int signals;
  bool frozen;
  struct Usage start;
  struct Usage end;
};

static _Noreturn void Die(const char* what, int error) {
  fprintf(stderr, "%s: %s\n", what, strerror(error));
  exit(EXIT_FAILURE);
}

static struct Options ParseOptions(int argc, char** argv) {
  static const struct option kOptions[] = {
      {"port", required_argument, NULL, 'p'},
      {"cpu", required_argument, NULL, 'c'},
      {"seconds", required_argument, NULL, 's'},
      {"multishot", no_argument, NULL, 'm'},
      {0}};
  struct Options options = {.port = 0, .cpu = -1, .seconds = 120};
  for (int c; (c = getopt_long(argc, argv, "", kOptions, NULL)) != -1;) {
    switch (c) {
      case 'p':
        options.port = atoi(optarg);
        break;
      case 'c':
        options.cpu = atoi(optarg);
        break;
      case 's':
        options.seconds = atoi(optarg);
        break;
      case 'm':
        options.multishot = true;
        break;
      default:
        exit(2);
    }
  }
  if (optind != argc || options.seconds <= 0) {
    fprintf(stderr, "usage: %s [--port N] [--cpu N] [--seconds N]\n", argv[0]);
    exit(2);
  }
  return options;
}

static int Listen(int port, int socket_flags) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | socket_flags, 0);
  if (listener < 0) Die("socket", errno);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // Accepted sockets inherit this: no call per connection.
  setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  if (bind(listener, (struct sockaddr*)&address, length) < 0 ||
      listen(listener, SOMAXCONN) < 0 ||
      getsockname(listener, (struct sockaddr*)&address, &length) < 0) {
    Die("listen", errno);
  }
  printf("listening %d\n", ntohs(address.sin_port));
  fflush(stdout);
  return listener;
}

static void WatchInput(int epoll, int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) Die("epoll_ctl", errno);
}

static struct Usage ReadUsage(uint64_t requests) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (struct Usage){.requests = requests,
                        .user_us = (uint64_t)usage.ru_utime.tv_sec * 1000000 +
                                   (uint64_t)usage.ru_utime.tv_usec,
                        .sys_us = (uint64_t)usage.ru_stime.tv_sec * 1000000 +
                                  (uint64_t)usage.ru_stime.tv_usec};
}

// Everything that is not traffic arrives on one descriptor, `control`, so that
// each server watches it in its own way and misses nothing.
static struct Server StartServer(struct Options options, int socket_flags) {
  if (options.cpu >= 0) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET((size_t)options.cpu, &cpus);
    if (sched_setaffinity(0, sizeof cpus, &cpus) < 0) Die("--cpu", errno);
  }
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  sigset_t set;
  sigemptyset(&set);
  const int signals[] = {SIGTERM, SIGINT, SIGALRM, SIGUSR1, SIGUSR2};
  for (size_t i = 0; i < sizeof signals / sizeof *signals; ++i) {
    sigaddset(&set, signals[i]);
  }
  sigprocmask(SIG_BLOCK, &set, NULL);
  alarm((unsigned)options.seconds);

  struct Server server = {
      .signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC),
      .control = epoll_create1(EPOLL_CLOEXEC)};
  if (server.signals < 0 || server.control < 0) Die("signalfd", errno);
  WatchInput(server.control, server.signals);
  struct stat input;
  if (fstat(STDIN_FILENO, &input) == 0 &&
      (S_ISFIFO(input.st_mode) || S_ISSOCK(input.st_mode))) {
    WatchInput(server.control, STDIN_FILENO);
  }
  server.listener = Listen(options.port, socket_flags);
  server.start = ReadUsage(0);
  return server;
}

// Never blocks. False: it is time to stop.
static bool HandleControl(struct Server* server, uint64_t requests) {
  struct epoll_event events[2];
  const int count = epoll_wait(server->control, events, 2, 0);
  for (int i = 0; i < count; ++i) {
    if (events[i].data.fd == STDIN_FILENO) {
      char ignored[256];
      if (read(STDIN_FILENO, ignored, sizeof ignored) <= 0) return false;
      continue;
    }
    struct signalfd_siginfo info;
    while (read(server->signals, &info, sizeof info) == sizeof info) {
      if (info.ssi_signo == SIGUSR1) {
        server->start = ReadUsage(requests);
        server->frozen = false;
      } else if (info.ssi_signo == SIGUSR2) {
        if (!server->frozen) server->end = ReadUsage(requests);
        server->frozen = true;
      } else {
        return false;
      }
    }
  }
  return true;
}

// Ends at once: connections may still be open, known to the kernel or to their
// threads only.
static _Noreturn void ReportAndExit(const struct Server* server,
                                    const char* name, uint64_t requests) {
  const struct Usage end = server->frozen ? server->end : ReadUsage(requests);
  const uint64_t user_us = end.user_us - server->start.user_us;
  const uint64_t sys_us = end.sys_us - server->start.sys_us;
  printf(
      "{\"server\":\"%s\",\"requests\":%llu,\"user_us\":%llu,\"sys_us\":%llu,"
      "\"cpu_us\":%llu}\n",
      name, (unsigned long long)(end.requests - server->start.requests),
      (unsigned long long)user_us, (unsigned long long)sys_us,
      (unsigned long long)(user_us + sys_us));
  fflush(stdout);
  _exit(EXIT_SUCCESS);
}

// Accept failed for want of a resource that comes back when a connection
// closes: a server then pauses accepting and the backlog holds the clients.
static bool IsExhaustion(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS ||
         error == ENOMEM;
}

#endif  // WEFT_BENCH_LIMITS_ECHO_SERVER_H_
