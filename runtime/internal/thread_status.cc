#include "weft/runtime/internal/thread_status.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

#include <fstream>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace weft::internal {
namespace {

std::ifstream OpenFileOf(pid_t thread, const char* file) {
  return std::ifstream(absl::StrCat("/proc/self/task/", thread, "/", file));
}

// A thread inherits what its maker blocks.
class BlockSignalsBut {
 public:
  explicit BlockSignalsBut(int taken) {
    sigset_t blocked;
    sigfillset(&blocked);
    if (taken != 0) sigdelset(&blocked, taken);
    pthread_sigmask(SIG_SETMASK, &blocked, &before_);
  }
  BlockSignalsBut(const BlockSignalsBut&) = delete;
  BlockSignalsBut& operator=(const BlockSignalsBut&) = delete;
  ~BlockSignalsBut() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

struct NamedCall {
  int64_t number;
  const char* name;
};

// Newer architectures lack those that have a more general successor.
constexpr NamedCall kBlockingCalls[] = {
#if defined(SYS_accept)
    {SYS_accept, "accept"},
#endif
    {SYS_accept4, "accept4"},
    {SYS_clock_nanosleep, "clock_nanosleep"},
    {SYS_connect, "connect"},
    {SYS_epoll_pwait, "epoll_pwait"},
#if defined(SYS_epoll_wait)
    {SYS_epoll_wait, "epoll_wait"},
#endif
    {SYS_fcntl, "fcntl"},
    {SYS_fdatasync, "fdatasync"},
    {SYS_flock, "flock"},
    {SYS_fsync, "fsync"},
    {SYS_futex, "futex"},
    {SYS_io_uring_enter, "io_uring_enter"},
    {SYS_ioctl, "ioctl"},
    {SYS_nanosleep, "nanosleep"},
#if defined(SYS_open)
    {SYS_open, "open"},
#endif
    {SYS_openat, "openat"},
#if defined(SYS_pause)
    {SYS_pause, "pause"},
#endif
#if defined(SYS_poll)
    {SYS_poll, "poll"},
#endif
    {SYS_ppoll, "ppoll"},
    {SYS_pread64, "pread"},
    {SYS_pselect6, "pselect"},
    {SYS_pwrite64, "pwrite"},
    {SYS_read, "read"},
    {SYS_readv, "readv"},
    {SYS_recvfrom, "recv"},
    {SYS_recvmsg, "recvmsg"},
#if defined(SYS_select)
    {SYS_select, "select"},
#endif
    {SYS_sendmsg, "sendmsg"},
    {SYS_sendto, "send"},
    {SYS_wait4, "wait4"},
    {SYS_waitid, "waitid"},
    {SYS_write, "write"},
    {SYS_writev, "writev"},
};

}  // namespace

ThreadStatus ThreadStatus::Of(pid_t thread) {
  ThreadStatus result;
  std::ifstream file = OpenFileOf(thread, "status");
  for (std::string line; std::getline(file, line);) {
    constexpr std::string_view kState = "State:\t";
    if (line.starts_with(kState) && line.size() > kState.size()) {
      result.state = line[kState.size()];
    }
    constexpr std::string_view kBlocked = "SigBlk:\t";
    uint64_t blocked = 0;
    if (line.starts_with(kBlocked) &&
        absl::SimpleHexAtoi(line.substr(kBlocked.size()), &blocked)) {
      result.blocked_signals = blocked;
    }
    // voluntary_ and nonvoluntary_
    uint64_t count = 0;
    if (line.find("ctxt_switches:\t") != std::string::npos &&
        absl::SimpleAtoi(line.substr(line.find('\t') + 1), &count)) {
      result.switches = result.switches.value_or(0) + count;
    }
  }
  return result;
}

std::optional<int64_t> SystemCallOf(pid_t thread) {
  std::ifstream file = OpenFileOf(thread, "syscall");
  // "running", or "-1 ..." if it is blocked outside of a call
  int64_t number = -1;
  if (!(file >> number) || number < 0) return std::nullopt;
  return number;
}

std::string SystemCallName(int64_t number) {
  for (const NamedCall& call : kBlockingCalls) {
    if (call.number == number) return absl::StrCat(call.name, "(2)");
  }
  return absl::StrCat("system call ", number);
}

std::thread StartWithoutSignals(std::function<void()> body, int taken) {
  const BlockSignalsBut block(taken);
  return std::thread(std::move(body));
}

}  // namespace weft::internal
