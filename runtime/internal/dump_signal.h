// DumpSignal: the one signal of a process that asks for dumps, and makes
// threads tell where they are.
//
// The handler is installed only where the option dump_signal asks for it, and
// taken away with the last Watcher that wants it. It runs on whichever thread
// the kernel chooses, and only rings the bells of the watchers, which have
// threads of their own to write on. A thread is made to tell where it is by
// the same signal with a value of weft's own, sent to that thread. Where there
// is no such signal, SIGURG can be borrowed for the moment that takes.
#ifndef WEFT_RUNTIME_INTERNAL_DUMP_SIGNAL_H_
#define WEFT_RUNTIME_INTERNAL_DUMP_SIGNAL_H_

#include <cstdint>

#include "absl/status/status.h"
#include "weft/runtime/internal/backtrace.h"

namespace weft::internal {

class Watcher;

class DumpSignal {
 public:
  // Has `watcher` asked for a dump whenever `signal` comes. FAILED_PRECONDITION
  // if the signal has a handler that is not weft's, or if weft has another one;
  // RESOURCE_EXHAUSTED beyond 64 watchers. Any thread.
  static absl::Status Add(Watcher& watcher, int signal);
  // When this returns, no handler uses the watcher any more.
  static void Remove(Watcher& watcher);

  // Where the thread is, found by the thread itself in the handler. False if
  // there is no handler, no such thread, or no answer within a second, as when
  // the thread blocks the signal. Interrupts system calls of the thread, which
  // are begun again where the kernel can (SA_RESTART). Any thread.
  static bool TakeBacktraceOf(int32_t thread, Backtrace& backtrace);

  // The same; without a handler it installs one for SIGURG, which programs
  // ignore by default, and takes it away again. False if the program has a
  // handler for that.
  static bool BorrowBacktraceOf(int32_t thread, Backtrace& backtrace);
};

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_INTERNAL_DUMP_SIGNAL_H_
