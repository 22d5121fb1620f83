#include "weft/examples/relay/stop_signals.h"

#include <poll.h>
#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>

#include "weft/runtime/operation.h"
#include "weft/runtime/status.h"

namespace relay {

absl::StatusOr<StopSignals> StopSignals::Block() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  if (const int error = pthread_sigmask(SIG_BLOCK, &set, nullptr); error != 0) {
    return weft::ErrnoStatus(error, "block signals");
  }
  const int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0) return weft::ErrnoStatus(errno, "open signalfd");
  return StopSignals(weft::net::Descriptor(fd));
}

absl::StatusOr<int> StopSignals::Wait(weft::Io& io) {
  for (;;) {
    const int64_t ready =
        io.Perform(weft::op::Poll{.fd = descriptor_.get(), .events = POLLIN});
    if (ready < 0) {
      return weft::ErrnoStatus(static_cast<int>(-ready), "wait for a signal");
    }
    signalfd_siginfo info{};
    const ssize_t size = read(descriptor_.get(), &info, sizeof(info));
    if (size == sizeof(info)) return static_cast<int>(info.ssi_signo);
    if (errno != EAGAIN) return weft::ErrnoStatus(errno, "read a signal");
  }
}

}  // namespace relay
