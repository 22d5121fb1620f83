// Options: everything that can be configured about a backend, in one struct.
//
//   weft::Options options = weft::Options::FromEnvironment();
//   return weft::RunMain(options, [](auto& io) { return Serve(io); });
//
// An option that is set is honoured or refused: a backend to which it does not
// apply returns INVALID_ARGUMENT rather than ignore it. Those that are not set
// have the defaults given here.
#ifndef WEFT_RUNTIME_OPTIONS_H_
#define WEFT_RUNTIME_OPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "weft/runtime/clock.h"

namespace weft {

enum class BackendKind { kThreaded, kEvented };

// How Evented talks to the kernel.
enum class DriverKind { kAuto, kUring, kEpoll };

struct Options {
  // WEFT_BACKEND=threaded|evented
  BackendKind backend = BackendKind::kEvented;

  // WEFT_DRIVER=auto|uring|epoll, Evented only. `auto` takes the best one the
  // kernel allows.
  std::optional<DriverKind> driver = std::nullopt;

  // WEFT_WORKERS, Evented only: threads that run fibers, 1 to 256. Default:
  // the processors this process may use, by its affinity and by the CPU quotas
  // of its control groups (a container's limit of 1.5 processors allows 2).
  // They are looked at when the backend is created.
  std::optional<uint32_t> workers = std::nullopt;

  // WEFT_STACK_SIZE: bytes of address space for the stack of a task, guard
  // pages included; 64 KiB to 1 GiB, rounded up to pages. Only what a task
  // touches takes memory. Default: 512 KiB.
  std::optional<size_t> stack_size = std::nullopt;

  // WEFT_MAX_TASKS: how many tasks may exist at once, those given to Run
  // included; the next one is refused with RESOURCE_EXHAUSTED. Default: no
  // limit but memory.
  std::optional<uint32_t> max_tasks = std::nullopt;

  // WEFT_RING_ENTRIES, Evented only: entries of a worker's submission queue, a
  // power of two from 8 to 32768. More operations than that at once are
  // submitted in several steps. Default: 512.
  std::optional<uint32_t> ring_entries = std::nullopt;

  // WEFT_IDLE_THREAD_TIMEOUT, Threaded only: how long a thread waits for a
  // next task before it ends, such as `500ms` or `1m`. Default: 5 s.
  std::optional<Duration> idle_thread_timeout = std::nullopt;

  // WEFT_REPORT_OVERFLOW=on|off: handlers for SIGSEGV and SIGBUS, which belong
  // to the process, write a line when a task overflows its stack: its name,
  // where it was spawned, how large the stack is. Then the signal does what it
  // did before. On Threaded, tasks on threads of the host program are left
  // out. Default: off; with RunMain, on.
  std::optional<bool> report_overflow = std::nullopt;

  // WEFT_MEASURE_STACKS=on|off, Evented and Sim only: note how much of their
  // stacks tasks use, see stack_use.h; RunMain prints that at the end. Costs
  // some 10 us for each task. Default: off.
  std::optional<bool> measure_stacks = std::nullopt;

  // WEFT_PERTURB_SEED, Evented only, for tests: workers pick among ready
  // fibers at random, delay some for a few turns and let tasks that are about
  // to wait yield first. The seed is where the random numbers come from; 0 is
  // off. Default: 0.
  std::optional<uint64_t> perturb_seed = std::nullopt;

  // WEFT_WATCHDOG, Evented only: how long a worker may go without a switch
  // before that is reported on standard error, once, with the name of the task
  // that keeps it and its backtrace, such as `500ms`; at least 10 ms, and 0 is
  // off. Where it takes a signal and which: docs/debugging.md. Default: 1 s.
  std::optional<Duration> watchdog = std::nullopt;

  // WEFT_DUMP_SIGNAL, Threaded and Evented: at this signal all tasks are
  // written to standard error, with what they wait for and their backtraces;
  // task_dump.h. As `USR1`, or its number; not a signal that cannot be handled
  // or that stands for a fault. The process gets a handler for it, until the
  // last instance that has this option ends. Default: none.
  std::optional<int> dump_signal = std::nullopt;

  // The first error found while filling the options; Run and Create return
  // it.
  absl::Status error = absl::OkStatus();

  // Defaults, overridden by the environment. A WEFT_ variable that is unknown
  // or has an impossible value is kept in `error`; those that begin with
  // WEFT_TEST_ are left to tests, and WEFT_SIM_ and WEFT_REPLAY to Sim.
  static Options FromEnvironment();

  // Sets one option from text. `name` is the name of the field: "workers".
  // INVALID_ARGUMENT names the option, the value and what is possible.
  absl::Status Set(std::string_view name, std::string_view value);

  // `error`, or INVALID_ARGUMENT for a value out of its range.
  absl::Status Validate() const;
};

// Of a stack, in bytes of address space with the guard. The smallest has room
// for some 40 KiB of frames and for the frame of a signal.
inline constexpr size_t kDefaultStackSize = size_t{512} << 10;
inline constexpr size_t kLeastStackSize = size_t{64} << 10;
inline constexpr size_t kMostStackSize = size_t{1} << 30;

}  // namespace weft

#endif  // WEFT_RUNTIME_OPTIONS_H_
