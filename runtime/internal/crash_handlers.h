// What weft does about signals that end a program: it says what it knows, and
// then they do what they did before.
//
// A handler belongs to the process, so it is there only while somebody asked
// for it, and passes everything on: to the handler of before, or to what the
// kernel does, with the registers as they were. Core dumps and crash reporters
// see the place of the crash.
#ifndef WEFT_RUNTIME_INTERNAL_CRASH_HANDLERS_H_
#define WEFT_RUNTIME_INTERNAL_CRASH_HANDLERS_H_

#include <signal.h>

namespace weft::internal {

// Told of crashes on the thread that made it, while it lives; of several the
// youngest. Needs CrashHandlers for the signals.
class CrashListener {
 public:
  CrashListener();
  CrashListener(const CrashListener&) = delete;
  CrashListener& operator=(const CrashListener&) = delete;

  // On the thread that crashes, in the handler: async-signal-safe. `name` is
  // that of the signal.
  virtual void OnCrash(const char* name) const = 0;

 protected:
  ~CrashListener();

 private:
  CrashListener* const before_;
};

// Handlers for SIGSEGV and SIGBUS, or for SIGABRT, SIGFPE and SIGILL too, while
// it lives. The first one installs them, the last one takes them back; a
// handler that somebody else has installed since stays, and weft's below it; a
// shared library that has it is never unloaded then.
// One that faults in the guard of a task's stack writes a line on that. Any
// thread.
class CrashHandlers {
 public:
  enum class Signals { kFaults, kAll };

  explicit CrashHandlers(Signals signals);
  CrashHandlers(const CrashHandlers&) = delete;
  CrashHandlers& operator=(const CrashHandlers&) = delete;
  ~CrashHandlers();

 private:
  const Signals signals_;
};

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_INTERNAL_CRASH_HANDLERS_H_
