#include "weft/runtime/internal/crash_handlers.h"

#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <mutex>

#include "weft/runtime/internal/guarded_stacks.h"
#include "weft/runtime/internal/signal_text.h"
#include "weft/runtime/options.h"
#include "weft/runtime/task.h"

namespace weft::internal {
namespace {

struct Crash {
  int signal;
  const char* name;
  bool is_fault;
};
constexpr Crash kCrashes[] = {{SIGSEGV, "SIGSEGV", true},
                              {SIGBUS, "SIGBUS", true},
                              {SIGABRT, "SIGABRT", false},
                              {SIGFPE, "SIGFPE", false},
                              {SIGILL, "SIGILL", false}};

// The handlers of one signal.
struct Chain {
  int users = 0;           // guarded by mutex
  bool installed = false;  // guarded by mutex; ours may be below another
  struct sigaction before {};
};

std::mutex mutex;
Chain chains[std::size(kCrashes)];

thread_local CrashListener* listener_of_thread = nullptr;
// While there are none, the handler leaves the thread-local alone: that of a
// library which was loaded with dlopen is allocated at a thread's first look.
std::atomic<int> listeners{0};

// The default action, and what to do about a signal that a program ignores:
// the kernel lets nobody ignore a fault.
bool IsHandler(const struct sigaction& action) {
  return (action.sa_flags & SA_SIGINFO) != 0 ||
         (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN);
}

// What the signal did before, it does now. Without the lock: `before` does not
// change while ours is installed.
void PassOn(int signal, siginfo_t* info, void* context, const Chain& chain) {
  const struct sigaction& before = chain.before;
  if (IsHandler(before)) {
    // As the kernel does for a handler that wants to be called once.
    if ((before.sa_flags & static_cast<int>(SA_RESETHAND)) != 0) {
      ::signal(signal, SIG_DFL);
    }
    if ((before.sa_flags & SA_SIGINFO) != 0) {
      before.sa_sigaction(signal, info, context);
    } else {
      before.sa_handler(signal);
    }
    return;
  }
  const bool was_sent = info->si_code <= 0;
  if (was_sent && before.sa_handler == SIG_IGN) return;
  // The instruction that failed is tried again when this returns; a signal
  // that was sent is sent again.
  ::signal(signal, SIG_DFL);
  if (was_sent) raise(signal);
}

void ReportOverflow(const void* address) {
  const GuardedStacks::Found found = GuardedStacks::FindGuard(address);
  if (found.task == nullptr) return;
  // A handler of before that returns without ado comes here again.
  static std::atomic<const void*> last{nullptr};
  if (last.exchange(address, std::memory_order_relaxed) == address) return;
  SignalText out;
  out.Put("weft: stack overflow in task '");
  out.Put(found.task->name());
  out.Put("'");
  if (const SourceLocation where = found.task->where(); where.file != nullptr) {
    out.Put(", spawned at ");
    out.Put(where.file);
    out.Put(":");
    out.PutNumber(static_cast<uint64_t>(where.line));
  }
  out.Put(": its stack of ");
  out.PutNumber(found.stack_size);
  if (found.stack_size >= kMostStackSize) {
    out.Put(" bytes, the most there is, is full\n");
    return;
  }
  out.Put(
      " bytes is full; give it more with SpawnOptions::stack_size, or all "
      "tasks "
      "with Options::stack_size, such as WEFT_STACK_SIZE=");
  out.PutNumber(std::min(2 * found.stack_size, kMostStackSize));
  out.Put("\n");
}

void OnSignal(int signal, siginfo_t* info, void* context) {
  const int error = errno;
  for (size_t i = 0; i < std::size(kCrashes); ++i) {
    const Crash& crash = kCrashes[i];
    if (crash.signal != signal) continue;
    if (crash.is_fault && info->si_code > 0) ReportOverflow(info->si_addr);
    if (listeners.load(std::memory_order_relaxed) != 0 &&
        listener_of_thread != nullptr) {
      listener_of_thread->OnCrash(crash.name);
    }
    errno = error;
    PassOn(signal, info, context, chains[i]);
  }
}

bool IsSame(const struct sigaction& a, const struct sigaction& b) {
  return (a.sa_flags & SA_SIGINFO) == (b.sa_flags & SA_SIGINFO) &&
         a.sa_handler == b.sa_handler;
}

bool IsOurs(const struct sigaction& action) {
  return (action.sa_flags & SA_SIGINFO) != 0 &&
         action.sa_sigaction == &OnSignal;
}

void Install(int signal, Chain& chain) {
  struct sigaction now {};
  sigaction(signal, nullptr, &now);
  // Below another handler, which will pass on to it; unless that one has put
  // back what was there before ours.
  if (chain.installed && IsHandler(now) && !IsSame(now, chain.before)) return;
  chain.before = now;
  struct sigaction ours {};
  ours.sa_sigaction = &OnSignal;
  // Whoever is passed on to finds the same signals blocked as before.
  ours.sa_mask = now.sa_mask;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK | (now.sa_flags & SA_NODEFER);
  sigaction(signal, &ours, nullptr);
  chain.installed = true;
}

// Whoever installed a handler above will pass on to the one here, also when
// this is in a plugin that the program has closed.
void StayLoaded() {
  Dl_info here;
  if (dladdr(reinterpret_cast<void*>(&OnSignal), &here) == 0) return;
  // The handle is kept for good; for the program itself there is none.
  static_cast<void>(
      dlopen(here.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE));
}

void TakeBack(int signal, Chain& chain) {
  struct sigaction now {};
  sigaction(signal, nullptr, &now);
  if (IsOurs(now)) sigaction(signal, &chain.before, nullptr);
  chain.installed = !IsOurs(now) && IsHandler(now);
  if (chain.installed) StayLoaded();
}

bool Concerns(const Crash& crash, CrashHandlers::Signals signals) {
  return crash.is_fault || signals == CrashHandlers::Signals::kAll;
}

}  // namespace

CrashListener::CrashListener() : before_(listener_of_thread) {
  listener_of_thread = this;
  listeners.fetch_add(1, std::memory_order_relaxed);
}

CrashListener::~CrashListener() {
  listeners.fetch_sub(1, std::memory_order_relaxed);
  listener_of_thread = before_;
}

CrashHandlers::CrashHandlers(Signals signals) : signals_(signals) {
  const std::lock_guard lock(mutex);
  for (size_t i = 0; i < std::size(kCrashes); ++i) {
    if (!Concerns(kCrashes[i], signals)) continue;
    if (chains[i].users++ == 0) Install(kCrashes[i].signal, chains[i]);
  }
}

CrashHandlers::~CrashHandlers() {
  const std::lock_guard lock(mutex);
  for (size_t i = 0; i < std::size(kCrashes); ++i) {
    if (!Concerns(kCrashes[i], signals_)) continue;
    if (--chains[i].users == 0) TakeBack(kCrashes[i].signal, chains[i]);
  }
}

}  // namespace weft::internal
