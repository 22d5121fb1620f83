// TCP echo on weft: the same job as limits/echo_*.c, with the same marks.
//
// Prints `listening <port>`, serves until SIGTERM, SIGINT or --seconds, then
// prints one JSON line. SIGUSR1 starts the measured interval, SIGUSR2 ends it.

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "weft/backends/run.h"
#include "weft/net/tcp_listener.h"
#include "weft/net/tcp_stream.h"
#include "weft/runtime/status.h"
#include "weft/runtime/task_group.h"

namespace {

struct Settings {
  weft::Options weft;
  uint16_t port = 0;
  int cpu = -1;
  unsigned seconds = 120;
};

struct Usage {
  uint64_t requests = 0;
  uint64_t user_us = 0;
  uint64_t sys_us = 0;
};

uint64_t Microseconds(const timeval& time) {
  return static_cast<uint64_t>(time.tv_sec) * 1000000 +
         static_cast<uint64_t>(time.tv_usec);
}

Usage ReadUsage(uint64_t requests) {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return {.requests = requests,
          .user_us = Microseconds(usage.ru_utime),
          .sys_us = Microseconds(usage.ru_stime)};
}

class Server {
 public:
  explicit Server(uint16_t port) : port_(port) {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT, SIGALRM, SIGUSR1, SIGUSR2}) {
      sigaddset(&set, signal);
    }
    // Before any thread starts, so that all inherit it.
    sigprocmask(SIG_BLOCK, &set, nullptr);
    signals_ = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    start_ = ReadUsage(0);
  }

  template <weft::Backend B>
  absl::Status Serve(B& io) {
    auto listener = weft::net::TcpListener::Bind(
        io, weft::net::SocketAddress::Loopback(port_));
    if (!listener.ok()) return listener.status();
    std::printf("listening %u\n", listener->local_address().port());
    std::fflush(stdout);
    weft::TaskGroup<B> group(io, {.cancel_on_error = true});
    group.Spawn([this](B& own) { return ObeySignals(own); });
    for (;;) {
      auto stream = listener->Accept(io);
      if (!stream.ok()) break;
      (void)stream->SetNoDelay(true);
      group.Spawn([this, peer = *std::move(stream)](B& own) mutable {
        Echo(own, peer);
      });
    }
    return group.Await(io);
  }

 private:
  void Echo(weft::Io& io, weft::net::TcpStream& peer) {
    std::array<char, 4096> buffer;
    for (;;) {
      const absl::StatusOr<size_t> n = peer.Read(io, buffer);
      if (!n.ok() || *n == 0) return;
      if (!peer.WriteAll(io, std::string_view(buffer.data(), *n)).ok()) return;
      requests_.fetch_add(1, std::memory_order_relaxed);
    }
  }

  absl::Status ObeySignals(weft::Io& io) {
    for (;;) {
      const int64_t ready =
          io.Perform(weft::op::Poll{.fd = signals_, .events = POLLIN});
      if (ready < 0) return weft::ErrnoStatus(int(-ready), "signals");
      signalfd_siginfo info;
      while (read(signals_, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGUSR1) {
          start_ = ReadUsage(requests_);
        } else if (info.ssi_signo == SIGUSR2) {
          if (!end_.has_value()) end_ = ReadUsage(requests_);
        } else {
          ReportAndExit(io.Describe());
        }
      }
    }
  }

  // Ends at once, as the limits do.
  [[noreturn]] void ReportAndExit(const weft::Description& description) const {
    const Usage end = end_.value_or(ReadUsage(requests_));
    const uint64_t user_us = end.user_us - start_.user_us;
    const uint64_t sys_us = end.sys_us - start_.sys_us;
    std::fputs(absl::StrCat("{\"server\":\"echo_weft ", description.backend,
                            "\",\"requests\":", end.requests - start_.requests,
                            ",\"user_us\":", user_us, ",\"sys_us\":", sys_us,
                            ",\"cpu_us\":", user_us + sys_us, "}\n")
                   .c_str(),
               stdout);
    std::fflush(stdout);
    _exit(EXIT_SUCCESS);
  }

  const uint16_t port_;
  int signals_ = -1;
  std::atomic<uint64_t> requests_{0};
  Usage start_;
  std::optional<Usage> end_;
};

absl::Status Parse(int argc, char** argv, Settings& settings) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const char* const value = argv[i + 1];
    uint32_t number = 0;
    if (name == "--backend" || name == "--workers") {
      absl::Status status = settings.weft.Set(name.substr(2), value);
      if (!status.ok()) return status;
    } else if (!absl::SimpleAtoi(value, &number)) {
      return absl::InvalidArgumentError(
          absl::StrCat(argv[i], ": '", value, "' is no number"));
    } else if (name == "--port") {
      settings.port = static_cast<uint16_t>(number);
    } else if (name == "--cpu") {
      settings.cpu = static_cast<int>(number);
    } else if (name == "--seconds") {
      settings.seconds = number;
    } else {
      return absl::InvalidArgumentError(absl::StrCat("no option ", argv[i]));
    }
  }
  return absl::OkStatus();
}

absl::Status Prepare(const Settings& settings) {
  if (settings.cpu >= 0) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(static_cast<size_t>(settings.cpu), &cpus);
    if (sched_setaffinity(0, sizeof(cpus), &cpus) < 0) {
      return weft::ErrnoStatus(errno, "--cpu");
    }
  }
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  alarm(settings.seconds);
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  absl::Status status = Parse(argc, argv, settings);
  if (status.ok()) status = Prepare(settings);
  if (!status.ok()) {
    std::fprintf(stderr, "echo_weft: %s\n",
                 std::string(status.message()).c_str());
    return 2;
  }
  Server server(settings.port);
  return weft::RunMain(settings.weft,
                       [&](auto& io) { return server.Serve(io); });
}
