#include "weft/backends/threaded/threaded.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <string>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "weft/backends/threaded/internal/thread_pool.h"
#include "weft/backends/threaded/internal/thread_record.h"
#include "weft/runtime/internal/check.h"
#include "weft/runtime/internal/current.h"
#include "weft/runtime/internal/parking_lot.h"
#include "weft/runtime/status.h"

namespace weft {
namespace {

using internal::ThreadRecord;

constexpr Duration kDefaultIdleTimeout = std::chrono::seconds(5);

// What a pipe takes whole once poll(2) says it is writable; pipe(7). A longer
// write to a descriptor in blocking mode could not be interrupted.
constexpr size_t kMostPolledWrite = 4096;

// Stands for a thread that the backend did not start.
class AttachedTask final : public Task {
 public:
  explicit AttachedTask(Io& io)
      : Task(io, nullptr, {.name = "host thread"}),
        record_(ThreadRecord::Acquire()) {
    runner = &record_;
    record_.SetTask(this);
    carrier.store(&record_, std::memory_order_seq_cst);
  }
  ~AttachedTask() override { ThreadRecord::Release(record_); }

 private:
  void Run() override {}
  void AnnounceEnd() override {}

  ThreadRecord& record_;
};

struct Attachment {
  ~Attachment() { internal::current.task = nullptr; }
  internal::TaskPointer<AttachedTask> task;
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

// 0, or -EBADF for a descriptor that was opened for the other direction only:
// poll(2) would never report it.
int64_t CheckNotOnly(int refused, int fd) {
  const int mode = fcntl(fd, F_GETFL);
  if (mode < 0) return -errno;
  return (mode & O_ACCMODE) == refused ? -EBADF : 0;
}

// write(2), but a peer that is gone is EPIPE and nothing else.
ssize_t WriteWithoutSignal(const op::WriteAt& operation, size_t size) {
  sigset_t sigpipe;
  sigset_t pending;
  sigset_t mask;
  sigemptyset(&sigpipe);
  sigaddset(&sigpipe, SIGPIPE);
  sigpending(&pending);
  pthread_sigmask(SIG_BLOCK, &sigpipe, &mask);
  const ssize_t result = write(operation.fd, operation.data, size);
  const int error = errno;
  if (result < 0 && error == EPIPE && !sigismember(&pending, SIGPIPE)) {
    const timespec at_once = {};
    sigtimedwait(&sigpipe, nullptr, &at_once);
  }
  pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  errno = error;
  return result;
}

int64_t Read(const Task& task, const op::ReadAt& operation) {
  if (const int64_t error = CheckNotOnly(O_WRONLY, operation.fd); error < 0) {
    return error;
  }
  const auto attempt = [&operation] {
    return operation.offset == op::kCurrentPosition
               ? read(operation.fd, operation.data, operation.size)
               : pread(operation.fd, operation.data, operation.size,
                       operation.offset);
  };
  return OnceReady(task, operation.fd, POLLIN, attempt);
}

int64_t Write(const Task& task, const op::WriteAt& operation) {
  if (const int64_t error = CheckNotOnly(O_RDONLY, operation.fd); error < 0) {
    return error;
  }
  if (operation.offset != op::kCurrentPosition) {
    return OnceReady(task, operation.fd, POLLOUT, [&operation] {
      return pwrite(operation.fd, operation.data, operation.size,
                    operation.offset);
    });
  }
  const bool seeks = lseek(operation.fd, 0, SEEK_CUR) >= 0;
  const size_t size =
      seeks ? operation.size : std::min(operation.size, kMostPolledWrite);
  return OnceReady(task, operation.fd, POLLOUT, [&operation, size] {
    return WriteWithoutSignal(operation, size);
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
  if (!status.ok()) return status;
  return std::unique_ptr<Threaded>(new Threaded(options));
}

Threaded::Threaded(const Options& options)
    : pool_(std::make_unique<internal::ThreadPool>(
          *this,
          internal::ThreadPoolOptions{
              .stack_size = options.stack_size.value_or(kDefaultStackSize),
              .max_tasks = options.max_tasks.value_or(
                  std::numeric_limits<uint32_t>::max()),
              .idle_timeout =
                  options.idle_thread_timeout.value_or(kDefaultIdleTimeout)})) {
}

Threaded::~Threaded() = default;

absl::StatusOr<Io*> Threaded::BeginRoot() {
  const Task& task = CurrentTask("Threaded::Run");
  if (absl::Status status = pool_->CountTask(task.name()); !status.ok()) {
    return status;
  }
  return std::exchange(internal::current.io, this);
}

void Threaded::EndRoot(Io* before) {
  internal::current.io = before;
  pool_->UncountTask();
}

uint32_t Threaded::threads() const { return pool_->threads(); }

int64_t Threaded::Perform(const Operation& operation) {
  const Task& task = CurrentTask(Name(operation));
  if (const Interruption interruption = task.GiveUp();
      interruption != Interruption::kNone) {
    return internal::InterruptionResult(interruption);
  }
  return PerformNow(task, operation);
}

absl::Status Threaded::Start(Task& task) { return pool_->Start(task); }

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
  const Task& task = CurrentTask("FutexWait");
  ThreadRecord& record = RecordOf(task);
  ThreadWaiter waiter(record);
  if (!internal::ParkingLot::Enter(waiter, word, expected)) {
    return WakeReason::kValueDiffered;
  }
  MonotonicTime deadline = options.deadline;
  if (options.interruptible) deadline = std::min(deadline, task.deadline());
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
  return internal::ParkingLot::Wake(word, count);
}

absl::Status Threaded::SleepUntil(MonotonicTime when) {
  // Nobody wakes this word.
  const std::atomic<uint32_t> word{0};
  if (FutexWait(word, 0, {.deadline = when}) == WakeReason::kInterrupted) {
    return internal::InterruptionStatus(CurrentTask("Sleep").GiveUp(), "sleep");
  }
  return absl::OkStatus();
}

MonotonicTime Threaded::Now() const { return internal::KernelMonotonicNow(); }

WallTime Threaded::WallNow() const { return internal::KernelWallNow(); }

uint64_t Threaded::Random() {
  static thread_local absl::InsecureBitGen generator;
  return absl::Uniform<uint64_t>(generator);
}

Description Threaded::Describe() const {
  return {.backend = "threaded",
          .driver = "",
          .workers = 0,
          .details = "one thread per task, system calls"};
}

}  // namespace weft
