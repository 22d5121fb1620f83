// Load generator for the echo servers: one thread, epoll, closed loop. Each
// connection sends a message, waits for the whole echo, compares it with what
// it sent, and repeats.
//
// After the warm-up it sends SIGUSR1 to the server, at the end SIGUSR2, so that
// both count the same interval. Then it prints one JSON line.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  kEvents = 1024,
  // Latencies in ns, by power of two, each cut into kSteps.
  kStepBits = 5,
  kSteps = 1 << kStepBits,
  kBuckets = 64 * kSteps,
};

struct Connection {
  int fd;
  uint64_t number;   // of the message: no two are alike
  uint64_t started;  // when it was sent, in ns
  size_t sent;
  size_t received;
  char* message;
  char* echo;  // room for one byte more than there should be
};

static struct {
  int port;
  int connections;
  size_t size;
  double seconds;
  double warmup;
  int server_pid;  // 0: send no marks
  int cpu;         // -1: not pinned
} options = {
    .connections = 100, .size = 64, .seconds = 2, .warmup = 0.3, .cpu = -1};

static uint64_t requests;
static uint64_t errors;
static uint64_t histogram[kBuckets];

static _Noreturn void Die(const char* what) {
  fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
  exit(EXIT_FAILURE);
}

static uint64_t Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void ParseOptions(int argc, char** argv) {
  static const struct option kOptions[] = {
      {"port", required_argument, NULL, 'p'},
      {"connections", required_argument, NULL, 'n'},
      {"size", required_argument, NULL, 'b'},
      {"seconds", required_argument, NULL, 's'},
      {"warmup", required_argument, NULL, 'w'},
      {"server-pid", required_argument, NULL, 'i'},
      {"cpu", required_argument, NULL, 'c'},
      {0}};
  for (int c; (c = getopt_long(argc, argv, "", kOptions, NULL)) != -1;) {
    switch (c) {
      case 'p':
        options.port = atoi(optarg);
        break;
      case 'n':
        options.connections = atoi(optarg);
        break;
      case 'b':
        options.size = strtoull(optarg, NULL, 10);
        break;
      case 's':
        options.seconds = atof(optarg);
        break;
      case 'w':
        options.warmup = atof(optarg);
        break;
      case 'i':
        options.server_pid = atoi(optarg);
        break;
      case 'c':
        options.cpu = atoi(optarg);
        break;
      default:
        exit(2);
    }
  }
  if (optind != argc || options.port <= 0 || options.connections <= 0 ||
      options.size < sizeof(uint64_t) || options.size > 1 << 24 ||
      options.seconds <= 0 || options.seconds > 3600 || options.warmup < 0 ||
      options.warmup > 3600 || options.server_pid < 0) {
    fprintf(stderr,
            "usage: %s --port N [--connections N] [--size BYTES (8 or more)] "
            "[--seconds S] [--warmup S] [--server-pid N] [--cpu N]\n",
            argv[0]);
    exit(2);
  }
}

static size_t Bucket(uint64_t value) {
  if (value < kSteps) return value;
  const int shift = 63 - __builtin_clzll(value) - kStepBits;
  return ((size_t)shift + 1) * kSteps + ((value >> shift) & (kSteps - 1));
}

// The middle of a bucket, in µs.
static double BucketValue(size_t bucket) {
  if (bucket < kSteps) return (double)bucket / 1e3;
  const size_t shift = bucket / kSteps - 1;
  const double step = (double)(UINT64_C(1) << shift);
  return ((double)(bucket % kSteps + kSteps) + 0.5) * step / 1e3;
}

static double Percentile(double share) {
  const double rank = share * (double)requests;
  uint64_t seen = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    seen += histogram[i];
    if (seen > 0 && (double)seen >= rank) return BucketValue(i);
  }
  return 0;
}

static void NumberMessage(struct Connection* connection) {
  ++connection->number;
  memcpy(connection->message, &connection->number, sizeof connection->number);
}

// One exchange on the still blocking socket: the server has accepted it, and
// with a thread for each connection the thread has started.
static bool FirstExchange(struct Connection* connection) {
  NumberMessage(connection);
  for (size_t sent = 0; sent < options.size;) {
    // A server may not read all of a large message before it answers.
    const size_t left = options.size - sent;
    const size_t part = left < 4096 ? left : 4096;
    if (send(connection->fd, connection->message + sent, part, MSG_NOSIGNAL) !=
            (ssize_t)part ||
        recv(connection->fd, connection->echo + sent, part, MSG_WAITALL) !=
            (ssize_t)part) {
      return false;
    }
    sent += part;
  }
  return memcmp(connection->echo, connection->message, options.size) == 0;
}

static void Connect(int epoll, struct Connection* connection, uint64_t seed) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) Die("socket");
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)options.port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (connect(fd, (struct sockaddr*)&address, sizeof address) < 0) {
    Die("connect");
  }
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  *connection = (struct Connection){.fd = fd,
                                    .number = seed << 32,
                                    .message = malloc(options.size),
                                    .echo = malloc(options.size + 1)};
  if (connection->message == NULL || connection->echo == NULL) Die("malloc");
  for (size_t i = 0; i < options.size; ++i) {
    connection->message[i] = (char)(seed * 31 + i * 7);
  }
  if (!FirstExchange(connection)) Die("first exchange");
  if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0) Die("fcntl");
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET,
                              .data.ptr = connection};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) Die("epoll_ctl");
}

// Sends what is left of the message. False: the connection failed.
static bool Send(struct Connection* connection) {
  while (connection->sent < options.size) {
    const ssize_t sent =
        send(connection->fd, connection->message + connection->sent,
             options.size - connection->sent, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    connection->sent += (size_t)sent;
  }
  return true;
}

static bool StartMessage(struct Connection* connection, uint64_t now) {
  NumberMessage(connection);
  connection->sent = connection->received = 0;
  connection->started = now;
  return Send(connection);
}

// Goes as far as the socket allows. False: the connection failed.
static bool Advance(struct Connection* connection) {
  if (!Send(connection)) return false;
  for (;;) {
    // One byte more than is due, so that surplus bytes show as an error.
    const size_t wanted = options.size + 1 - connection->received;
    const ssize_t received = recv(
        connection->fd, connection->echo + connection->received, wanted, 0);
    if (received < 0) return errno == EAGAIN;
    if (received == 0) return false;
    connection->received += (size_t)received;
    if (connection->received >= options.size) break;
    if (connection->sent < options.size && !Send(connection)) return false;
  }
  if (connection->received > connection->sent ||
      memcmp(connection->echo, connection->message, options.size) != 0) {
    return false;
  }
  const uint64_t now = Now();
  ++requests;
  ++histogram[Bucket(now - connection->started)];
  return StartMessage(connection, now);
}

static void Fail(struct Connection* connection) {
  ++errors;
  close(connection->fd);
  connection->fd = -1;
}

// Serves connections until the clock reads `end`.
static void RunUntil(int epoll, uint64_t end) {
  static struct epoll_event events[kEvents];
  for (uint64_t now; (now = Now()) < end;) {
    const int timeout_ms = (int)((end - now) / 1000000) + 1;
    const int count = epoll_wait(epoll, events, kEvents, timeout_ms);
    for (int i = 0; i < count; ++i) {
      struct Connection* connection = events[i].data.ptr;
      if (!Advance(connection)) Fail(connection);
    }
  }
}

static void Mark(int signal) {
  if (options.server_pid > 0 && kill(options.server_pid, signal) < 0) {
    Die("kill");
  }
}

static void Pin(void) {
  if (options.cpu < 0) return;
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET((size_t)options.cpu, &cpus);
  if (sched_setaffinity(0, sizeof cpus, &cpus) < 0) Die("--cpu");
}

int main(int argc, char** argv) {
  ParseOptions(argc, argv);
  Pin();
  // A server that hangs, even in connect, cannot hold us.
  alarm((unsigned)(options.warmup + options.seconds) + 20);
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  struct Connection* connections =
      calloc((size_t)options.connections, sizeof *connections);
  if (epoll < 0 || connections == NULL) Die("start");
  for (int i = 0; i < options.connections; ++i) {
    Connect(epoll, &connections[i], (uint64_t)i + 1);
  }
  for (int i = 0; i < options.connections; ++i) {
    if (!StartMessage(&connections[i], Now())) Fail(&connections[i]);
  }
  RunUntil(epoll, Now() + (uint64_t)(options.warmup * 1e9));

  requests = 0;
  memset(histogram, 0, sizeof histogram);
  Mark(SIGUSR1);
  const uint64_t start = Now();
  RunUntil(epoll, start + (uint64_t)(options.seconds * 1e9));
  const uint64_t end = Now();
  Mark(SIGUSR2);

  printf(
      "{\"connections\":%d,\"size\":%zu,\"requests\":%llu,\"seconds\":%.6f,"
      "\"errors\":%llu,\"p50_us\":%.2f,\"p99_us\":%.2f}\n",
      options.connections, options.size, (unsigned long long)requests,
      (double)(end - start) / 1e9, (unsigned long long)errors, Percentile(0.50),
      Percentile(0.99));
  return 0;
}
