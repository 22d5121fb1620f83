#include "weft/backends/threaded/threaded.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "weft/backends/threaded/internal/thread_pool.h"
#include "weft/backends/threaded/internal/thread_record.h"
#include "weft/runtime/internal/check.h"
#include "weft/runtime/internal/current.h"
#include "weft/runtime/internal/dump_signal.h"
#include "weft/runtime/internal/forks.h"
#include "weft/runtime/internal/parking_lot.h"
#include "weft/runtime/internal/random.h"
#include "weft/runtime/internal/task_inspection.h"
#include "weft/runtime/internal/task_record.h"
#include "weft/runtime/internal/wait_note.h"
#include "weft/runtime/internal/watcher.h"
#include "weft/runtime/status.h"

namespace weft {
namespace {

using internal::ThreadRecord;

constexpr Duration kDefaultIdleTimeout = std::chrono::seconds(5);

// How long a dump waits in vain for threads to tell where they are, in all.
constexpr Duration kMostSilence = std::chrono::seconds(2);

// What a pipe takes whole once poll(2) says it is writable; pipe(7). Where a
// write cannot be told not to block, a longer one could not be interrupted.
constexpr size_t kMostPolledWrite = 4096;

// Stands for a thread that the backend did not start.
class AttachedTask final : public Task {
 public:
  explicit AttachedTask(Io& io)
      : Task(io, nullptr, {.name = "host thread", .where = {}}),
        record_(ThreadRecord::Acquire()) {
    runner = &record_;
    record_.SetTask(this);
    carrier.store(&record_, std::memory_order_seq_cst);
    record.thread.store(record_.thread_id(), std::memory_order_relaxed);
    // Of an instance only while it is in Run.
    internal::TaskRegistry::Enter(record, nullptr, "threaded");
  }
  ~AttachedTask() override {
    internal::TaskRegistry::Leave(record);
    ThreadRecord::Release(record_);
  }

 private:
  void Run() override {}
  void AnnounceEnd() override {}

  ThreadRecord& record_;
};

struct Attachment {
  ~Attachment() {
    internal::current.task = nullptr;
    // In a child process the locks may be held by threads that are not there.
    if (birth_process.IsParent()) internal::KeepInherited(std::move(task));
  }
  internal::TaskPointer<AttachedTask> task;
  const internal::BirthProcess birth_process;
};

ThreadRecord& RecordOf(const Task& task) {
  return *static_cast<ThreadRecord*>(task.runner);
}

// A thread that waits on a word.
class ThreadWaiter final : public internal::Waiter {
 public:
  explicit ThreadWaiter(ThreadRecord& record) : record_(record) {}

  bool resumed() const { return resumed_.load(std::memory_order_acquire); }

 private:
  void Resume() override {
    // The waiter may be gone after the store; its record never is.
    ThreadRecord& record = record_;
    resumed_.store(true, std::memory_order_release);
    record.Signal();
  }

  ThreadRecord& record_;
  std::atomic<bool> resumed_{false};
};

// Calls `attempt` until it does something else than ask to wait for `events`.
template <class Attempt>
int64_t UntilReady(const Task& task, int fd, short events, Attempt attempt) {
  for (;;) {
    const int64_t result = attempt();
    if (result >= 0) return result;
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return -errno;
    const int64_t ready = RecordOf(task).Poll(task, fd, events);
    if (ready < 0) return ready;
  }
}

// As UntilReady, for calls that cannot be told not to block.
template <class Attempt>
int64_t OnceReady(const Task& task, int fd, short events, Attempt attempt) {
  const int64_t ready = RecordOf(task).Poll(task, fd, events);
  if (ready < 0) return ready;
  return UntilReady(task, fd, events, attempt);
}

int64_t Accept(const Task& task, const op::Accept& operation) {
  // Of several tasks that wait for one listener, all see a connection come and
  // one gets it. In blocking mode the others would then wait where no cancel
  // reaches them.
  const int mode = fcntl(operation.fd, F_GETFL);
  if (mode < 0) return -errno;
  if (!(mode & O_NONBLOCK)) {
    fcntl(operation.fd, F_SETFL, mode | O_NONBLOCK);
  }
  return UntilReady(task, operation.fd, POLLIN, [&operation] {
    return accept4(operation.fd, operation.address, operation.address_length,
                   SOCK_CLOEXEC);
  });
}

int64_t Connect(const Task& task, const op::Connect& operation) {
  // connect(2) has no flag for not blocking; the mode of the socket is set
  // for as long as the call takes.
  const int mode = fcntl(operation.fd, F_GETFL);
  if (mode < 0) return -errno;
  if (!(mode & O_NONBLOCK)) {
    fcntl(operation.fd, F_SETFL, mode | O_NONBLOCK);
  }
  const int connected =
      connect(operation.fd, operation.address, operation.address_length);
  const int error = errno;
  if (!(mode & O_NONBLOCK)) fcntl(operation.fd, F_SETFL, mode);
  if (connected == 0) return 0;
  // After EINTR the connection is still being set up, as after EINPROGRESS.
  if (error != EINPROGRESS && error != EINTR) return -error;
  const int64_t ready = RecordOf(task).Poll(task, operation.fd, POLLOUT);
  if (ready < 0) return ready;
  int outcome = 0;
  socklen_t length = sizeof(outcome);
  if (getsockopt(operation.fd, SOL_SOCKET, SO_ERROR, &outcome, &length) < 0) {
    return -errno;
  }
  return -outcome;
}

// Calls `attempt`, but a peer that is gone is EPIPE and nothing else.
template <class Attempt>
ssize_t WithoutSigpipe(Attempt attempt) {
  sigset_t sigpipe;
  sigset_t pending;
  sigset_t mask;
  sigemptyset(&sigpipe);
  sigaddset(&sigpipe, SIGPIPE);
  sigpending(&pending);
  pthread_sigmask(SIG_BLOCK, &sigpipe, &mask);
  const ssize_t result = attempt();
  const int error = errno;
  if (result < 0 && error == EPIPE && !sigismember(&pending, SIGPIPE)) {
    const timespec at_once = {};
    sigtimedwait(&sigpipe, nullptr, &at_once);
  }
  pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  errno = error;
  return result;
}

// What is on a disk has to be waited for although poll(2) says that it is
// there.
bool IsOnDisk(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 &&
         (S_ISREG(status.st_mode) || S_ISBLK(status.st_mode));
}

// EAGAIN where read(2) would block, EOPNOTSUPP where the file cannot tell, and
// EBADF before either. What is cached of a file on a disk comes without the
// rest.
ssize_t ReadWithoutBlocking(const op::ReadAt& operation) {
  const iovec buffer = {.iov_base = operation.data, .iov_len = operation.size};
  static_assert(op::kCurrentPosition == -1);  // the same to preadv2(2)
  return preadv2(operation.fd, &buffer, 1, operation.offset, RWF_NOWAIT);
}

// Reads on after the first `done` bytes; returns the bytes of both.
int64_t ReadBlocking(const op::ReadAt& operation, size_t done) {
  std::byte* const data = static_cast<std::byte*>(operation.data) + done;
  const size_t size = operation.size - done;
  ssize_t result = 0;
  do {
    result = operation.offset == op::kCurrentPosition
                 ? read(operation.fd, data, size)
                 : pread(operation.fd, data, size,
                         operation.offset + static_cast<off_t>(done));
  } while (result < 0 && errno == EINTR);
  if (result < 0) return done > 0 ? static_cast<int64_t>(done) : -errno;
  return result + static_cast<int64_t>(done);
}

int64_t Read(const Task& task, const op::ReadAt& operation) {
  for (;;) {
    const ssize_t result = ReadWithoutBlocking(operation);
    if (result == 0 || result == static_cast<ssize_t>(operation.size)) {
      return result;
    }
    if (result > 0) {
      return IsOnDisk(operation.fd)
                 ? ReadBlocking(operation, static_cast<size_t>(result))
                 : result;
    }
    if (errno == EINTR) continue;
    const bool cannot_tell = errno == EOPNOTSUPP;
    if (!cannot_tell && errno != EAGAIN) return -errno;
    if (!cannot_tell && IsOnDisk(operation.fd)) {
      return ReadBlocking(operation, 0);
    }
    const int64_t ready = RecordOf(task).Poll(task, operation.fd, POLLIN);
    if (ready < 0) return ready;
    if (cannot_tell) {
      // A descriptor in non-blocking mode may find nothing after all.
      const int64_t read = ReadBlocking(operation, 0);
      if (read != -EAGAIN) return read;
    }
  }
}

int64_t WriteBlocking(const op::WriteAt& operation) {
  for (;;) {
    const ssize_t result =
        operation.offset == op::kCurrentPosition
            ? write(operation.fd, operation.data, operation.size)
            : pwrite(operation.fd, operation.data, operation.size,
                     operation.offset);
    if (result >= 0) return result;
    if (errno != EINTR) return -errno;
  }
}

int64_t Write(const Task& task, const op::WriteAt& operation) {
  // What takes an offset never waits for a peer.
  if (operation.offset != op::kCurrentPosition || IsOnDisk(operation.fd)) {
    return WriteBlocking(operation);
  }
  const iovec data = {.iov_base = const_cast<void*>(operation.data),
                      .iov_len = operation.size};
  // EBADF comes before EOPNOTSUPP: poll(2) would never report a descriptor
  // that was opened for reading only.
  const int64_t result = UntilReady(task, operation.fd, POLLOUT, [&] {
    return WithoutSigpipe([&] {
      return pwritev2(operation.fd, &data, 1, op::kCurrentPosition, RWF_NOWAIT);
    });
  });
  if (result != -EOPNOTSUPP) return result;
  return OnceReady(task, operation.fd, POLLOUT, [&operation] {
    return WithoutSigpipe([&operation] {
      return write(operation.fd, operation.data,
                   std::min(operation.size, kMostPolledWrite));
    });
  });
}

int64_t PerformNow(const Task& task, const Operation& operation) {
  return std::visit(
      internal::Overloaded{
          [&](const op::Accept& accept) { return Accept(task, accept); },
          [&](const op::Connect& connect) { return Connect(task, connect); },
          [&](const op::Recv& request) {
            const auto attempt = [&request] {
              return recv(request.fd, request.data, request.size,
                          request.flags | MSG_DONTWAIT);
            };
            return request.probably_empty
                       ? OnceReady(task, request.fd, POLLIN, attempt)
                       : UntilReady(task, request.fd, POLLIN, attempt);
          },
          [&](const op::Send& request) {
            return UntilReady(task, request.fd, POLLOUT, [&request] {
              return send(request.fd, request.data, request.size,
                          request.flags | MSG_DONTWAIT | MSG_NOSIGNAL);
            });
          },
          [&](const op::RecvMessage& request) {
            return UntilReady(task, request.fd, POLLIN, [&request] {
              return recvmsg(request.fd, request.message,
                             request.flags | MSG_DONTWAIT);
            });
          },
          [&](const op::SendMessage& request) {
            return UntilReady(task, request.fd, POLLOUT, [&request] {
              return sendmsg(request.fd, request.message,
                             request.flags | MSG_DONTWAIT | MSG_NOSIGNAL);
            });
          },
          [&](const op::ReadAt& request) { return Read(task, request); },
          [&](const op::WriteAt& request) { return Write(task, request); },
          [&](const op::Sync& sync) -> int64_t {
            while (fsync(sync.fd) < 0) {
              if (errno != EINTR) return -errno;
            }
            return 0;
          },
          [&](const op::Poll& poll) {
            return RecordOf(task).Poll(task, poll.fd, poll.events);
          }},
      operation);
}

absl::Status RefuseOption(const char* name) {
  return absl::InvalidArgumentError(absl::StrCat(
      "option ", name, ": does not apply to the threaded backend"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Threaded>> Threaded::Create(
    const Options& options) {
  absl::Status status = options.Validate();
  if (options.driver.has_value()) status.Update(RefuseOption("driver"));
  if (options.workers.has_value()) status.Update(RefuseOption("workers"));
  if (options.ring_entries.has_value()) {
    status.Update(RefuseOption("ring_entries"));
  }
  if (options.measure_stacks.has_value()) {
    status.Update(RefuseOption("measure_stacks"));
  }
  if (options.perturb_seed.has_value()) {
    status.Update(RefuseOption("perturb_seed"));
  }
  if (options.watchdog.has_value()) status.Update(RefuseOption("watchdog"));
  if (!status.ok()) return status;
  std::unique_ptr<Threaded> threaded(new Threaded(options));
  status = threaded->watcher_->Start(
      {.dump_signal = options.dump_signal.value_or(0)});
  if (!status.ok()) return status;
  return threaded;
}

Threaded::Threaded(const Options& options)
    : pool_(std::make_unique<internal::ThreadPool>(
          *this,
          internal::ThreadPoolOptions{
              .stack_size = options.stack_size.value_or(kDefaultStackSize),
              .max_tasks = options.max_tasks.value_or(
                  std::numeric_limits<uint32_t>::max()),
              .idle_timeout =
                  options.idle_thread_timeout.value_or(kDefaultIdleTimeout),
              .report_overflow = options.report_overflow.value_or(false)})),
      watcher_(std::make_unique<internal::Watcher>(*this)),
      dump_signal_(options.dump_signal.value_or(0)) {}

Threaded::~Threaded() {
  // Its threads are not there to be waited for.
  if (!birth_process_.IsParent()) return;
  internal::KeepInherited(std::move(watcher_));
  internal::KeepInherited(std::move(pool_));
}

absl::StatusOr<Io*> Threaded::BeginRoot() {
  Task& task = CurrentTask("Threaded::Run");
  if (absl::Status status = pool_->CountTask(task.name()); !status.ok()) {
    return status;
  }
  task.record.instance.store(this, std::memory_order_relaxed);
  return std::exchange(internal::current.io, this);
}

void Threaded::EndRoot(Io* before) {
  internal::current.io = before;
  internal::current.task->record.instance.store(before,
                                                std::memory_order_relaxed);
  pool_->UncountTask();
}

uint32_t Threaded::threads() const { return pool_->threads(); }

int64_t Threaded::Perform(const Operation& operation) {
  Task& task = CurrentTask(Name(operation));
  if (const Interruption interruption = task.GiveUp();
      interruption != Interruption::kNone) {
    return internal::InterruptionResult(interruption);
  }
  const internal::RecordedWait note(task.record,
                                    {.what = Name(operation),
                                     .descriptor = DescriptorOf(operation),
                                     .since = internal::CoarseMonotonicNow(),
                                     .deadline = task.deadline()});
  return PerformNow(task, operation);
}

absl::Status Threaded::Start(Task& task) {
  birth_process_.Require("starting a task");
  return pool_->Start(task);
}

void Threaded::Interrupt(Task& task) {
  // Partner of the store of `carrier` when the task starts.
  auto* record =
      static_cast<ThreadRecord*>(task.carrier.load(std::memory_order_seq_cst));
  if (record != nullptr) record->Interrupt(task);
}

void Threaded::Yield() {
  CurrentTask("Yield");
  sched_yield();
}

Task& Threaded::CurrentTask(const char* call) {
  birth_process_.Require(call);
  internal::Current& current = internal::current;
  if (current.worker_of != nullptr) {
    internal::Misuse(absl::StrCat(
        call, " was called with a Threaded on a worker thread of the ",
        current.worker_of->Describe().backend,
        " backend, where it would block every task of that worker; use the Io "
        "that the task was given"));
  }
  // A task of another Threaded blocks its own thread, as it would there.
  if (current.task != nullptr) return *current.task;
  static thread_local Attachment attachment;
  if (attachment.task == nullptr) {
    // The task may outlive this instance, so it belongs to one that never
    // ends.
    static Threaded& host = *new Threaded(Options());
    attachment.task.reset(new AttachedTask(host));
  }
  // `io` is left null: this instance may end before the thread does.
  current.task = attachment.task.get();
  return *current.task;
}

WakeReason Threaded::FutexWait(const std::atomic<uint32_t>& word,
                               uint32_t expected,
                               const FutexWaitOptions& options) {
  Task& task = CurrentTask("FutexWait");
  ThreadRecord& record = RecordOf(task);
  ThreadWaiter waiter(record);
  if (!internal::ParkingLot::Enter(waiter, word, expected)) {
    return WakeReason::kValueDiffered;
  }
  MonotonicTime deadline = options.deadline;
  if (options.interruptible) deadline = std::min(deadline, task.deadline());
  internal::WaitDescription wait = task.record.FutexWaitOn(&word);
  wait.since = internal::CoarseMonotonicNow();
  wait.deadline = deadline;
  const internal::RecordedWait recorded(task.record, wait);
  for (;;) {
    // Read before the conditions: a signal that comes after them ends Wait.
    const uint32_t seen = record.signals();
    if (waiter.resumed()) return WakeReason::kWoken;
    WakeReason reason = WakeReason::kWoken;
    if (options.interruptible && task.Interrupted() != Interruption::kNone) {
      reason = WakeReason::kInterrupted;
    } else if (options.deadline != kNever && Now() >= options.deadline) {
      reason = WakeReason::kDeadline;
    }
    if (reason != WakeReason::kWoken) {
      if (internal::ParkingLot::Remove(waiter)) return reason;
      // A wake has chosen this waiter; it must not be lost.
      deadline = kNever;
      if (waiter.resumed()) return WakeReason::kWoken;
    }
    record.Wait(seen, deadline);
  }
}

uint32_t Threaded::FutexWake(const std::atomic<uint32_t>& word,
                             uint32_t count) {
  birth_process_.Require("waking a task");
  return internal::ParkingLot::Wake(word, count);
}

absl::Status Threaded::SleepUntil(MonotonicTime when) {
  const Task& task = CurrentTask("Sleep");
  const internal::WaitNote note({.what = "sleep"});
  // Nobody wakes this word.
  const std::atomic<uint32_t> word{0};
  if (FutexWait(word, 0, {.deadline = when}) == WakeReason::kInterrupted) {
    return internal::InterruptionStatus(task.GiveUp(), "sleep");
  }
  return absl::OkStatus();
}

void Threaded::Inspect(
    const std::shared_ptr<internal::TaskInspection>& inspection) {
  birth_process_.Require("DumpTasks");
  std::vector<internal::TaskSnapshot> tasks;
  internal::TaskRegistry::ForEach([&](const internal::TaskRecord& record) {
    if (record.instance.load(std::memory_order_relaxed) == this &&
        record.thread.load(std::memory_order_relaxed) != 0) {
      tasks.emplace_back(record);
    }
  });
  Duration silence{};
  for (internal::TaskSnapshot& task : tasks) {
    if (task.thread == gettid()) {
      task.runs = true;
      internal::TakeBacktrace(task.backtrace);
    } else if (dump_signal_ == 0) {
      task.no_backtrace = "the option dump_signal is not set";
    } else if (silence >= kMostSilence) {
      task.no_backtrace = "too many threads have not answered";
    } else {
      const MonotonicTime asked = Now();
      if (!internal::DumpSignal::TakeBacktraceOf(task.thread, task.backtrace)) {
        task.no_backtrace = "its thread does not answer";
        silence += Now() - asked;
      }
    }
  }
  // The thread of a task that has ended may have answered for another.
  absl::flat_hash_set<uint64_t> alive;
  internal::TaskRegistry::ForEach(
      [&](const internal::TaskRecord& record) { alive.insert(record.id); });
  for (internal::TaskSnapshot& task : tasks) {
    if (alive.contains(task.id)) inspection->Add(std::move(task));
  }
}

MonotonicTime Threaded::Now() const { return internal::KernelMonotonicNow(); }

WallTime Threaded::WallNow() const { return internal::KernelWallNow(); }

uint64_t Threaded::Random() { return internal::RandomBits(); }

Description Threaded::Describe() const {
  return {.backend = "threaded",
          .driver = "",
          .workers = 0,
          .details = "one thread per task, system calls"};
}

}  // namespace weft
