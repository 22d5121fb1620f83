#include "weft/backends/threaded/internal/thread_record.h"

#include <linux/futex.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "weft/runtime/internal/check.h"
#include "weft/runtime/status.h"

namespace weft::internal {
namespace {

std::mutex free_mutex;
ThreadRecord* free_records = nullptr;  // guarded by free_mutex

// How often a thread looks for a cancel when it could get no descriptor to be
// woken by.
constexpr Duration kPollSlice = std::chrono::milliseconds(10);

timespec ToTimespec(Duration span) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(span);
  return {.tv_sec = seconds.count(), .tv_nsec = (span - seconds).count()};
}

}  // namespace

ThreadRecord& ThreadRecord::Acquire() {
  ThreadRecord* record = nullptr;
  {
    const std::lock_guard lock(free_mutex);
    record = free_records;
    if (record != nullptr) free_records = record->next_free_;
  }
  if (record == nullptr) record = new ThreadRecord();
  record->thread_id_ = gettid();
  return *record;
}

void ThreadRecord::Release(ThreadRecord& record) {
  record.SetTask(nullptr);
  record.CloseWakeDescriptor();
  const std::lock_guard lock(free_mutex);
  record.next_free_ = free_records;
  free_records = &record;
}

void ThreadRecord::SetTask(Task* task) {
  const std::lock_guard lock(mutex_);
  task_ = task;
}

void ThreadRecord::Signal() {
  signals_.fetch_add(1, std::memory_order_seq_cst);
  syscall(SYS_futex, &signals_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

void ThreadRecord::Interrupt(const Task& task) {
  const std::lock_guard lock(mutex_);
  if (task_ != &task) return;
  Signal();
  if (!polling_ || wake_descriptor_ < 0) return;
  // Under the lock, so that the number cannot have become someone else's. The
  // write cannot fail: the counter is far from its limit.
  const uint64_t one = 1;
  WEFT_CHECK(write(wake_descriptor_, &one, sizeof(one)) == sizeof(one));
}

void ThreadRecord::Wait(uint32_t seen, MonotonicTime deadline) {
  timespec until;
  if (deadline != kNever) until = ToTimespec(deadline.time_since_epoch());
  // FUTEX_WAIT_BITSET takes an absolute time on CLOCK_MONOTONIC; futex(2).
  syscall(SYS_futex, &signals_, FUTEX_WAIT_BITSET_PRIVATE, seen,
          deadline == kNever ? nullptr : &until, nullptr,
          FUTEX_BITSET_MATCH_ANY);
}

int64_t ThreadRecord::Poll(const Task& task, int fd, short events) {
  // poll(2) would pass over it and wait for ever.
  if (fd < 0) return -EBADF;
  const int wake_descriptor = BeginPoll();
  int64_t result = 0;
  while (result == 0) {
    // After BeginPoll: a cancel that comes later finds `polling_` set.
    if (const Interruption interruption = task.GiveUp();
        interruption != Interruption::kNone) {
      result = InterruptionResult(interruption);
      break;
    }
    Duration span = Duration::max();
    if (task.deadline() != kNever) {
      span = std::max(task.deadline() - KernelMonotonicNow(), Duration(0));
    }
    if (wake_descriptor < 0) span = std::min(span, kPollSlice);
    const timespec timeout = ToTimespec(span);
    pollfd fds[2] = {{.fd = fd, .events = events, .revents = 0},
                     {.fd = wake_descriptor, .events = POLLIN, .revents = 0}};
    const int ready =
        ppoll(fds, 2, span == Duration::max() ? nullptr : &timeout, nullptr);
    if (ready < 0 && errno != EINTR) {
      result = -errno;
    } else if (ready > 0 && fds[0].revents != 0) {
      result = fds[0].revents & POLLNVAL ? -EBADF : fds[0].revents;
    } else if (ready > 0) {
      uint64_t count;
      // Drained here, or by whoever polls next; the flags of the scopes say
      // what it was for.
      [[maybe_unused]] const ssize_t drained =
          read(wake_descriptor, &count, sizeof(count));
    }
  }
  EndPoll();
  return result;
}

int ThreadRecord::BeginPoll() {
  const std::lock_guard lock(mutex_);
  polling_ = true;
  if (wake_descriptor_ < 0) {
    wake_descriptor_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  }
  return wake_descriptor_;
}

void ThreadRecord::EndPoll() {
  const std::lock_guard lock(mutex_);
  polling_ = false;
}

void ThreadRecord::CloseWakeDescriptor() {
  const std::lock_guard lock(mutex_);
  WEFT_CHECK(!polling_);
  if (wake_descriptor_ >= 0) close(wake_descriptor_);
  wake_descriptor_ = -1;
}

}  // namespace weft::internal
