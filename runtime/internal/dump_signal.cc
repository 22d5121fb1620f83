#include "weft/runtime/internal/dump_signal.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "weft/runtime/clock.h"
#include "weft/runtime/internal/watcher.h"

namespace weft::internal {
namespace {

constexpr Duration kPatience = std::chrono::seconds(1);

// What a thread is asked for by TakeBacktraceOf. One at a time.
enum AnswerState : uint32_t { kNone, kAsked, kAnswering, kAnswered };
std::atomic<uint32_t> answer_state{kNone};
std::atomic<int32_t> asked_thread{0};
// Written by the thread that made it kAnswering, read after kAnswered.
Backtrace answer;

// Guards all changes of what the handler reads.
std::mutex mutex;
std::array<std::atomic<Watcher*>, 64> watchers;
std::atomic<int> installed{0};  // the signal; 0: none
struct sigaction before;        // guarded by mutex
// Handlers that may be using a watcher.
std::atomic<uint32_t> handlers{0};

// Drops the frames of the handler, and of the kernel's way into it.
void DropHandler(Backtrace& backtrace, const void* context) {
  const auto& registers = static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  const auto address = static_cast<uintptr_t>(registers.gregs[REG_RIP]);
#elif defined(__aarch64__)
  const auto address = static_cast<uintptr_t>(registers.pc);
#else
  static_cast<void>(registers);
  const uintptr_t address = 0;
#endif
  const auto end =
      backtrace.frames.begin() + static_cast<std::ptrdiff_t>(backtrace.size);
  const auto first = std::find(backtrace.frames.begin(), end, address);
  if (first == end) return;
  std::copy(first, end, backtrace.frames.begin());
  backtrace.size = static_cast<size_t>(end - first);
}

void Handle(int, siginfo_t* info, void* context) {
  const int error = errno;
  if (info->si_code == SI_QUEUE && info->si_value.sival_ptr == &answer) {
    uint32_t expected = kAsked;
    if (asked_thread.load(std::memory_order_relaxed) == gettid() &&
        answer_state.compare_exchange_strong(expected, kAnswering,
                                             std::memory_order_acquire)) {
      TakeBacktrace(answer);
      DropHandler(answer, context);
      answer_state.store(kAnswered, std::memory_order_release);
    }
  } else {
    // Sequentially consistent: Remove takes the watcher off first and looks
    // for handlers then.
    handlers.fetch_add(1, std::memory_order_seq_cst);
    for (std::atomic<Watcher*>& place : watchers) {
      Watcher* const watcher = place.load(std::memory_order_seq_cst);
      if (watcher != nullptr) watcher->AskForDump();
    }
    handlers.fetch_sub(1, std::memory_order_seq_cst);
  }
  errno = error;
}

bool IsOwn(const struct sigaction& action) {
  return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == &Handle;
}

// FAILED_PRECONDITION if the program has a handler.
absl::Status Install(int signal, struct sigaction& replaced) {
  if (sigaction(signal, nullptr, &replaced) != 0) {
    return absl::InvalidArgumentError(strerror(errno));
  }
  if (replaced.sa_handler != SIG_DFL && replaced.sa_handler != SIG_IGN) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the program has a handler of its own for ", sigabbrev_np(signal)));
  }
  // What the unwinder loads when it is first used, it must not in the handler.
  Backtrace first;
  TakeBacktrace(first);
  struct sigaction action = {};
  action.sa_sigaction = &Handle;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
  return absl::OkStatus();
}

// Unless the program has put another handler there meanwhile.
void Uninstall(int signal, const struct sigaction& replaced) {
  struct sigaction now;
  if (sigaction(signal, nullptr, &now) == 0 && IsOwn(now)) {
    sigaction(signal, &replaced, nullptr);
  }
}

// Under `mutex`, with the handler installed for `signal`.
bool Ask(int signal, int32_t thread, Backtrace& backtrace) {
  asked_thread.store(thread, std::memory_order_relaxed);
  // Release: the handler sees which thread is meant.
  answer_state.store(kAsked, std::memory_order_release);
  siginfo_t info = {};
  info.si_signo = signal;
  info.si_code = SI_QUEUE;
  info.si_pid = getpid();
  info.si_uid = getuid();
  info.si_value.sival_ptr = &answer;
  const bool sent =
      syscall(SYS_rt_tgsigqueueinfo, getpid(), thread, signal, &info) == 0;
  const MonotonicTime end = KernelMonotonicNow() + kPatience;
  while (answer_state.load(std::memory_order_acquire) != kAnswered) {
    if (!sent || KernelMonotonicNow() >= end) {
      uint32_t expected = kAsked;
      // If the thread is at it, it will be done soon.
      if (answer_state.compare_exchange_strong(expected, kNone,
                                               std::memory_order_relaxed)) {
        return false;
      }
    }
    usleep(100);
  }
  backtrace = answer;
  answer_state.store(kNone, std::memory_order_relaxed);
  return true;
}

}  // namespace

absl::Status DumpSignal::Add(Watcher& watcher, int signal) {
  const std::lock_guard lock(mutex);
  const int own = installed.load(std::memory_order_relaxed);
  if (own != 0 && own != signal) {
    return absl::FailedPreconditionError(
        absl::StrCat("option dump_signal: another instance has ",
                     sigabbrev_np(own), "; all have to have the same"));
  }
  const auto place =
      std::find_if(watchers.begin(), watchers.end(), [](const auto& taken) {
        return taken.load(std::memory_order_relaxed) == nullptr;
      });
  if (place == watchers.end()) {
    return absl::ResourceExhaustedError(
        "option dump_signal: too many instances have it");
  }
  if (own == 0) {
    if (const absl::Status status = Install(signal, before); !status.ok()) {
      return {status.code(),
              absl::StrCat("option dump_signal: ", status.message())};
    }
    installed.store(signal, std::memory_order_relaxed);
  }
  place->store(&watcher, std::memory_order_seq_cst);
  return absl::OkStatus();
}

void DumpSignal::Remove(Watcher& watcher) {
  const std::lock_guard lock(mutex);
  bool others = false;
  for (std::atomic<Watcher*>& place : watchers) {
    if (place.load(std::memory_order_relaxed) == &watcher) {
      place.store(nullptr, std::memory_order_seq_cst);
    } else if (place.load(std::memory_order_relaxed) != nullptr) {
      others = true;
    }
  }
  while (handlers.load(std::memory_order_seq_cst) != 0) sched_yield();
  if (others) return;
  Uninstall(installed.exchange(0, std::memory_order_relaxed), before);
}

bool DumpSignal::TakeBacktraceOf(int32_t thread, Backtrace& backtrace) {
  const std::lock_guard lock(mutex);
  const int signal = installed.load(std::memory_order_relaxed);
  return signal != 0 && Ask(signal, thread, backtrace);
}

bool DumpSignal::BorrowBacktraceOf(int32_t thread, Backtrace& backtrace) {
  const std::lock_guard lock(mutex);
  const int signal = installed.load(std::memory_order_relaxed);
  if (signal != 0) return Ask(signal, thread, backtrace);
  struct sigaction replaced;
  if (!Install(SIGURG, replaced).ok()) return false;
  const bool answered = Ask(SIGURG, thread, backtrace);
  Uninstall(SIGURG, replaced);
  return answered;
}

}  // namespace weft::internal
