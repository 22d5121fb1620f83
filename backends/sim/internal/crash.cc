#include "weft/backends/sim/internal/crash.h"

#include <unistd.h>

#include <array>
#include <mutex>
#include <string_view>

#include "weft/backends/sim/internal/token.h"
#include "weft/runtime/task.h"

namespace weft::sim {
namespace {

struct Crash {
  int signal;
  const char* name;
};
constexpr Crash kCrashes[] = {{SIGSEGV, "SIGSEGV"},
                              {SIGABRT, "SIGABRT"},
                              {SIGFPE, "SIGFPE"},
                              {SIGBUS, "SIGBUS"},
                              {SIGILL, "SIGILL"}};

constexpr size_t kStackSize = size_t{64} << 10;

thread_local CrashReporter* reporter_of_thread = nullptr;

// Handlers belong to the process, explorations to threads: the first one
// installs them, the last one takes them back.
struct Handlers {
  std::mutex mutex;
  int users = 0;
  std::array<struct sigaction, std::size(kCrashes)> before{};
};
Handlers& AllHandlers() {
  static auto& handlers = *new Handlers();
  return handlers;
}

// Writes to standard error without allocating.
class ErrorStream {
 public:
  ErrorStream() = default;
  ErrorStream(const ErrorStream&) = delete;
  ErrorStream& operator=(const ErrorStream&) = delete;
  ~ErrorStream() { Flush(); }

  void Put(char c) {
    if (used_ == sizeof(buffer_)) Flush();
    buffer_[used_++] = c;
  }
  void Put(std::string_view text) {
    for (const char c : text) Put(c);
  }
  void PutNumber(uint64_t number, unsigned base) {
    if (number >= base) PutNumber(number / base, base);
    Put("0123456789abcdef"[number % base]);
  }

 private:
  void Flush() {
    [[maybe_unused]] const ssize_t written =
        write(STDERR_FILENO, buffer_, used_);
    used_ = 0;
  }

  char buffer_[4096];
  size_t used_ = 0;
};

}  // namespace

CrashReporter::CrashReporter(const Scheduler& scheduler,
                             const std::string& strategy)
    : scheduler_(scheduler),
      strategy_(strategy),
      stack_(std::make_unique<std::byte[]>(kStackSize)),
      reporter_before_(reporter_of_thread) {
  reporter_of_thread = this;
  stack_t stack{};
  stack.ss_sp = stack_.get();
  stack.ss_size = kStackSize;
  sigaltstack(&stack, &stack_before_);
  Handlers& handlers = AllHandlers();
  const std::lock_guard lock(handlers.mutex);
  if (handlers.users++ > 0) return;
  struct sigaction action {};
  action.sa_sigaction = &CrashReporter::OnSignal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (size_t i = 0; i < std::size(kCrashes); ++i) {
    sigaction(kCrashes[i].signal, &action, &handlers.before[i]);
  }
}

CrashReporter::~CrashReporter() {
  {
    Handlers& handlers = AllHandlers();
    const std::lock_guard lock(handlers.mutex);
    if (--handlers.users == 0) {
      for (size_t i = 0; i < std::size(kCrashes); ++i) {
        sigaction(kCrashes[i].signal, &handlers.before[i], nullptr);
      }
    }
  }
  sigaltstack(&stack_before_, nullptr);
  reporter_of_thread = reporter_before_;
}

void CrashReporter::OnSignal(int signal, siginfo_t* info, void*) {
  if (reporter_of_thread != nullptr) reporter_of_thread->Report(signal);
  // What the signal did before, it does now: the instruction that failed is
  // tried again when this returns, and a signal that was sent is sent again.
  // Without the lock: the program is about to end.
  for (size_t i = 0; i < std::size(kCrashes); ++i) {
    if (kCrashes[i].signal != signal) continue;
    sigaction(signal, &AllHandlers().before[i], nullptr);
  }
  if (info->si_code <= 0) raise(signal);
}

void CrashReporter::Report(int signal) const {
  const Fiber* fiber = scheduler_.running();
  if (fiber == nullptr) return;
  const char* name = "";
  for (const Crash& crash : kCrashes) {
    if (crash.signal == signal) name = crash.name;
  }
  ErrorStream out;
  out.Put("weft: sim: ");
  out.Put(name);
  out.Put(" in task ");
  out.PutNumber(fiber->number, 10);
  out.Put(" '");
  out.Put(fiber->task.name());
  out.Put("' at step ");
  out.PutNumber(scheduler_.steps(), 10);
  out.Put("; to run this schedule again:\nWEFT_REPLAY=");
  // As Token::ToString, which allocates.
  out.Put("1:");
  out.Put(strategy_);
  out.Put(":");
  out.PutNumber(scheduler_.seed(), 16);
  out.Put(":");
  out.PutNumber(scheduler_.limits().unfair_steps, 10);
  out.Put(":");
  out.PutNumber(scheduler_.limits().max_steps, 10);
  out.Put(":");
  out.Put(Token::kCrash);
  out.Put(":");
  scheduler_.history().Write([&out](char c) { out.Put(c); });
  out.Put("\n");
}

}  // namespace weft::sim
