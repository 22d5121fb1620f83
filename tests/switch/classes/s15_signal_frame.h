// S15: the kernel puts the frame of a signal handler, up to 12 KiB with wide
// vector registers, on the stack of the fiber that runs. Threads that run
// fibers need an alternate stack, and a switch must leave that alone; without
// one a nearly full stack overflows. On an empty stack of the smallest size
// there is room.
#ifndef WEFT_TESTS_SWITCH_CLASSES_S15_SIGNAL_FRAME_H_
#define WEFT_TESTS_SWITCH_CLASSES_S15_SIGNAL_FRAME_H_

#include <semaphore.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "weft/tests/switch/adapter.h"
#include "weft/tests/switch/child.h"
#include "weft/tests/switch/deep.h"
#include "weft/tests/switch/scheduler.h"

namespace weft::switches::s15_signal_frame {

struct Class {
  static constexpr const char* kName = "s15_signal_frame";

  template <class Switch>
  static void Check() {
    using Runtime = RuntimeOf<Switch>;
#if defined(WEFT_SWITCH_TSAN)
    Cannot("TSan calls handlers later, and not on the alternate stack");
#endif
    if (RunsOnValgrind()) {
      Cannot("Valgrind loses track of a stack when a handler is on another");
    }
    Expect(!Crashed(InChild(&Class::SignalsOnAnEmptyStack<Runtime>)),
           "a signal did not fit on an empty stack of the smallest size");
    Expect(Crashed(InChild([] { Storm<Runtime>(0); })),
           "the stacks were not nearly full: there was room for a handler");
    Expect(!Crashed(InChild([] { Storm<Runtime>(SA_ONSTACK); })),
           "the frame of a signal overflowed a nearly full stack");
  }

 private:
  // Of a stack in weft, without the guard.
  static constexpr size_t kSmallest = size_t{48} << 10;
#if defined(WEFT_SWITCH_ASAN)
  static constexpr size_t kScale = 2;
#else
  static constexpr size_t kScale = 1;
#endif
  static constexpr size_t kHandler = kScale * (size_t{16} << 10);
  // Of a nearly full stack: too little for the handler, enough to pause in
  // every way at -O0; and enough to yield and no more.
  static constexpr size_t kLeftToPause = kScale * (size_t{14} << 10);
  static constexpr size_t kLeftToYield = kScale * (size_t{6} << 10);

  static constexpr int kWorkers = 2;
  static constexpr int kFibers = 3;  // of each worker
  static constexpr int kOfTheirOwn = 2 * kWorkers * kFibers;
  static constexpr int kStorm = 1000;

  static inline std::atomic<int> handled{0};
  static inline sem_t was_handled;
  static inline std::atomic<pid_t> threads[kWorkers];
  static inline std::atomic<bool> over{false};

#if defined(WEFT_SWITCH_ASAN)
  // Would have the frame elsewhere.
  [[gnu::no_sanitize_address]]
#endif
  static void
  Handle(int) {
    const int error = errno;
    volatile char frame[kHandler];
    // Downwards, so that it meets the guard.
    for (size_t i = kHandler; i > 0; i -= 64) frame[i - 64] = 1;
    Expect(frame[0] == 1, "a handler's frame was overwritten");
    handled.fetch_add(1);
    sem_post(&was_handled);
    errno = error;
  }
  static void HandleSignals(int flags) {
    Expect(sem_init(&was_handled, 0, 0) == 0, "no semaphore");
    struct sigaction action = {};
    action.sa_handler = &Class::Handle;
    action.sa_flags = flags;
    Expect(sigaction(SIGPROF, &action, nullptr) == 0, "no handler");
  }
  static void AwaitSignals(int count) {
    while (count > 0) count -= sem_wait(&was_handled) == 0;
  }

  template <class Runtime>
  static void SignalsOnAnEmptyStack() {
    HandleSignals(0);
    Runtime::Run({[](Runtime& runtime) {
      runtime.Await(runtime.Spawn(
          [](Runtime& inner) {
            raise(SIGPROF);
            inner.Yield();
            raise(SIGPROF);
          },
          kSmallest));
    }});
    Expect(handled == 2, "a signal was not handled");
  }

  // Signals meet fibers with nearly full stacks that switch all the time.
  template <class Runtime>
  static void Storm(int flags) {
    HandleSignals(flags);
    std::thread storm([] {
      // Then all fibers are where they stay.
      AwaitSignals(kOfTheirOwn);
      for (int i = 0; i < kStorm; ++i) {
        syscall(SYS_tgkill, getpid(), threads[i % kWorkers].load(), SIGPROF);
        AwaitSignals(1);
      }
      over = true;
    });
    std::vector<std::function<void(Runtime&)>> bodies;
    for (std::atomic<pid_t>& thread : threads) {
      bodies.push_back([&thread](Runtime& runtime) {
        thread = gettid();
        FillWorker(runtime);
      });
    }
    Runtime::Run(std::move(bodies));
    storm.join();
    Expect(handled == kOfTheirOwn + kStorm, "a signal was not handled");
  }

  template <class Runtime>
  static void FillWorker(Runtime& runtime) {
    const stack_t alternate = AlternateStack();
    typename Runtime::Task* fibers[kFibers];
    for (int i = 0; i < kFibers; ++i) {
      fibers[i] = runtime.Spawn(
          [&alternate, i](Runtime& inner) { Fill(inner, alternate, i); },
          kSmallest);
    }
    for (auto* const fiber : fibers) runtime.Await(fiber);
  }

  template <class Runtime>
  static void Fill(Runtime& runtime, const stack_t& alternate, int index) {
    // The first call of each function needs more, to find it.
    PauseInEveryWay(runtime, alternate);
    raise(SIGPROF);
    const bool pauses = index == 0;
    const size_t left = pauses ? kLeftToPause : kLeftToYield;
    Dive(kSmallest - left, [&](uintptr_t here) {
      volatile uintptr_t data[32];
      for (uintptr_t i = 0; i < 32; ++i) data[i] = here + i;
      raise(SIGPROF);
      while (!over) {
        if (pauses) {
          PauseInEveryWay(runtime, alternate);
        } else {
          // So that there is a switch at any time.
          runtime.Yield();
        }
        for (uintptr_t i = 0; i < 32; ++i) {
          Expect(data[i] == here + i, "a fiber's data were overwritten");
        }
      }
    });
  }

  template <class Runtime>
  [[gnu::noinline]] static void PauseInEveryWay(Runtime& runtime,
                                                const stack_t& alternate) {
    runtime.PauseInEveryWay([&](const char* way) WEFT_SWITCH_INLINE {
      const stack_t now = AlternateStack();
      ExpectAfter(way,
                  now.ss_sp == alternate.ss_sp &&
                      now.ss_size == alternate.ss_size &&
                      now.ss_flags == alternate.ss_flags,
                  "the thread has another alternate stack");
    });
  }
  static stack_t AlternateStack() {
    stack_t stack = {};
    Expect(sigaltstack(nullptr, &stack) == 0, "no answer");
    return stack;
  }
};

}  // namespace weft::switches::s15_signal_frame

#endif  // WEFT_TESTS_SWITCH_CLASSES_S15_SIGNAL_FRAME_H_
