#include "weft/backends/evented/internal/uring_driver.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "weft/runtime/fiber/internal/sanitizer.h"
#include "weft/runtime/internal/check.h"
#include "weft/runtime/status.h"

namespace weft::internal {
namespace {

// The completion queue is that much longer than the submission queue, since
// operations that wait are many and submissions come in turns.
constexpr uint32_t kCompletionsPerSubmission = 8;

// Kernel threads for file operations that block, for each ring.
constexpr unsigned kMostKernelWorkers = 2;

// How long Poll waits where the kernel is short of memory and there is nothing
// to reap.
constexpr Duration kRetryDelay = std::chrono::milliseconds(1);

// user_data of entries that belong to no Request. Requests are aligned.
constexpr uint64_t kIgnored = 0;
constexpr uint64_t kWakeEvent = 1;
constexpr uint64_t kTimeout = 2;

constexpr int kOperations[] = {
    IORING_OP_ACCEPT,      IORING_OP_CONNECT,        IORING_OP_RECV,
    IORING_OP_SEND,        IORING_OP_RECVMSG,        IORING_OP_SENDMSG,
    IORING_OP_READ,        IORING_OP_WRITE,          IORING_OP_FSYNC,
    IORING_OP_TIMEOUT,     IORING_OP_TIMEOUT_REMOVE, IORING_OP_POLL_ADD,
    IORING_OP_ASYNC_CANCEL};

// The kernel takes no more than this at once; read(2).
unsigned Clamp(size_t size) {
  return static_cast<unsigned>(std::min<size_t>(size, 0x7ffff000));
}

uint64_t FileOffset(off_t offset) {
  // All ones is "the current position".
  static_assert(op::kCurrentPosition == -1);
  return static_cast<uint64_t>(offset);
}

absl::Status Refused(int error, std::string_view call) {
  std::string_view reason;
  switch (error) {
    case EPERM:
      reason = "; a seccomp filter or kernel.io_uring_disabled forbids it";
      break;
    case ENOSYS:
      reason = "; the kernel was built without it or a sandbox hides it";
      break;
    case EINVAL:
      reason = "; the kernel is below the level of Linux 6.1";
      break;
    case ENOMEM:
      reason = "; RLIMIT_MEMLOCK may be too small";
      break;
    default:
      break;
  }
  const absl::Status status = ErrnoStatus(error, {call.data(), call.size()});
  const std::string message =
      absl::StrCat("io_uring: ", status.message(),
                   absl::string_view(reason.data(), reason.size()));
  return absl::IsResourceExhausted(status)
             ? absl::ResourceExhaustedError(message)
             : absl::FailedPreconditionError(message);
}

// Valgrind does not know what the kernel writes on behalf of the ring.
void TellValgrind(const Operation& operation, int32_t result) {
  if (result < 0) return;
  auto left = static_cast<size_t>(result);
  std::visit(
      Overloaded{
          [&](const op::Accept& accept) {
            if (accept.address == nullptr) return;
            ValgrindFilled(accept.address_length, sizeof(socklen_t));
            ValgrindFilled(accept.address, *accept.address_length);
          },
          [&](const op::Recv& recv) { ValgrindFilled(recv.data, left); },
          [&](const op::RecvMessage& recv) {
            ValgrindFilled(recv.message, sizeof(*recv.message));
            ValgrindFilled(recv.message->msg_name, recv.message->msg_namelen);
            ValgrindFilled(recv.message->msg_control,
                           recv.message->msg_controllen);
            for (size_t i = 0; i < recv.message->msg_iovlen; ++i) {
              const iovec& part = recv.message->msg_iov[i];
              const size_t size = std::min(left, part.iov_len);
              ValgrindFilled(part.iov_base, size);
              left -= size;
            }
          },
          [&](const op::ReadAt& read) { ValgrindFilled(read.data, left); },
          [](const auto&) {}},
      operation);
}

// The kernel may map a ring where one of another thread was. liburing asks it
// directly, so ThreadSanitizer, which would take the two for one, learns from
// this alone that the first was given up before: added to in ~UringDriver,
// read in SetUp.
std::atomic<uint32_t> rings_given_up{0};

}  // namespace

absl::StatusOr<std::unique_ptr<UringDriver>> UringDriver::Create(
    uint32_t entries) {
  std::unique_ptr<UringDriver> driver(new UringDriver());
  if (absl::Status status = driver->SetUp(entries); !status.ok()) {
    return status;
  }
  return driver;
}

UringDriver::~UringDriver() {
  WEFT_CHECK(in_flight_ == 0);
  // Closing the ring ends the read of the wake descriptor and the timeout, the
  // only operations that may still be there.
  if (ring_is_set_up_) {
    rings_given_up.fetch_add(1, std::memory_order_release);
    io_uring_queue_exit(&ring_);
  }
  if (wake_descriptor_ >= 0) close(wake_descriptor_);
}

absl::Status UringDriver::SetUp(uint32_t entries) {
  io_uring_params params = {};
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL |
                 IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE;
  params.cq_entries = entries * kCompletionsPerSubmission;
  int result = io_uring_queue_init_params(entries, &ring_, &params);
  if (result < 0) return Refused(-result, "setup");
  ring_is_set_up_ = true;
  (void)rings_given_up.load(std::memory_order_acquire);
  constexpr unsigned kFeatures = IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG |
                                 IORING_FEAT_FAST_POLL | IORING_FEAT_CQE_SKIP;
  if ((params.features & kFeatures) != kFeatures) {
    return Refused(EINVAL, "setup without the features needed");
  }
  if (absl::Status status = ProbeOperations(); !status.ok()) return status;
  // A child after fork must not share the queues with its parent.
  result = io_uring_ring_dontfork(&ring_);
  if (result < 0) return Refused(-result, "dontfork");
  // Saves looking the descriptor up in each call; not needed to work.
  io_uring_register_ring_fd(&ring_);
  unsigned workers[2] = {kMostKernelWorkers, kMostKernelWorkers};
  io_uring_register_iowq_max_workers(&ring_, workers);
  wake_descriptor_ = eventfd(0, EFD_CLOEXEC);
  if (wake_descriptor_ < 0) return Refused(errno, "eventfd");
  ArmWake();
  return absl::OkStatus();
}

absl::Status UringDriver::ProbeOperations() {
  const std::unique_ptr<io_uring_probe, decltype(&io_uring_free_probe)> probe(
      io_uring_get_probe_ring(&ring_), io_uring_free_probe);
  if (probe == nullptr) return Refused(EINVAL, "probe");
  for (const int operation : kOperations) {
    if (!io_uring_opcode_supported(probe.get(), operation)) {
      return Refused(EINVAL, absl::StrCat("operation ", operation));
    }
  }
  return absl::OkStatus();
}

void UringDriver::Submit(Request& request) {
  io_uring_sqe& entry = NextEntry();
  Prepare(entry, request.operation());
  io_uring_sqe_set_data(&entry, &request);
  ++in_flight_;
}

void UringDriver::Cancel(Request& request) {
  io_uring_sqe& entry = NextEntry();
  io_uring_prep_cancel(&entry, &request, 0);
  // Success says nothing that the request's own completion does not say;
  // failure, that it was faster, neither.
  entry.flags |= IOSQE_CQE_SKIP_SUCCESS;
  io_uring_sqe_set_data64(&entry, kIgnored);
}

void UringDriver::Prepare(io_uring_sqe& entry, const Operation& operation) {
  std::visit(
      Overloaded{
          [&](const op::Accept& accept) {
            io_uring_prep_accept(&entry, accept.fd, accept.address,
                                 accept.address_length, SOCK_CLOEXEC);
          },
          [&](const op::Connect& connect) {
            io_uring_prep_connect(&entry, connect.fd, connect.address,
                                  connect.address_length);
          },
          [&](const op::Recv& recv) {
            io_uring_prep_recv(&entry, recv.fd, recv.data, Clamp(recv.size),
                               recv.flags);
            if (recv.probably_empty) {
              entry.ioprio |= IORING_RECVSEND_POLL_FIRST;
            }
          },
          [&](const op::Send& send) {
            io_uring_prep_send(&entry, send.fd, send.data, Clamp(send.size),
                               send.flags | MSG_NOSIGNAL);
          },
          [&](const op::RecvMessage& recv) {
            io_uring_prep_recvmsg(&entry, recv.fd, recv.message,
                                  static_cast<unsigned>(recv.flags));
          },
          [&](const op::SendMessage& send) {
            io_uring_prep_sendmsg(
                &entry, send.fd, send.message,
                static_cast<unsigned>(send.flags | MSG_NOSIGNAL));
          },
          [&](const op::ReadAt& read) {
            io_uring_prep_read(&entry, read.fd, read.data, Clamp(read.size),
                               FileOffset(read.offset));
          },
          [&](const op::WriteAt& write) {
            io_uring_prep_write(&entry, write.fd, write.data, Clamp(write.size),
                                FileOffset(write.offset));
          },
          [&](const op::Sync& sync) {
            io_uring_prep_fsync(&entry, sync.fd, 0);
          },
          [&](const op::Poll& poll) {
            io_uring_prep_poll_add(&entry, poll.fd,
                                   static_cast<unsigned short>(poll.events));
          }},
      operation);
}

io_uring_sqe& UringDriver::NextEntry() {
  for (;;) {
    if (io_uring_sqe* entry = io_uring_get_sqe(&ring_)) return *entry;
    // Full: hand over what is there. Where the kernel will not take more
    // before completions are reaped (EBUSY, EAGAIN), reap them first.
    if (io_uring_submit_and_get_events(&ring_) < 0) Reap();
  }
}

void UringDriver::ArmWake() {
  io_uring_sqe& entry = NextEntry();
  io_uring_prep_read(&entry, wake_descriptor_, &wake_count_,
                     sizeof(wake_count_), 0);
  io_uring_sqe_set_data64(&entry, kWakeEvent);
  wake_is_armed_ = true;
}

void UringDriver::ArmTimeout(MonotonicTime deadline) {
  // One that ends earlier stays, also when nobody waits for it any more: a
  // wait that ends for nothing is cheaper than a change with each wait.
  if (deadline >= timeout_at_) return;
  const Duration since_boot =
      std::max(deadline.time_since_epoch(), Duration(0));
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(since_boot);
  timeout_ = {.tv_sec = seconds.count(),
              .tv_nsec = (since_boot - seconds).count()};
  io_uring_sqe& entry = NextEntry();
  if (timeout_at_ == kNever) {
    io_uring_prep_timeout(&entry, &timeout_, 0, IORING_TIMEOUT_ABS);
    io_uring_sqe_set_data64(&entry, kTimeout);
  } else {
    // Where it has just ended the change fails, and its completion is there.
    io_uring_prep_timeout_update(&entry, &timeout_, kTimeout,
                                 IORING_TIMEOUT_ABS);
    entry.flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(&entry, kIgnored);
  }
  timeout_at_ = deadline;
}

bool UringDriver::Poll(MonotonicTime deadline) {
  const uint64_t reaped_before = reaped_;
  // A wake source is always armed before a wait.
  if (!wake_is_armed_) ArmWake();
  const bool has_deadline = deadline != kNoWait && deadline != kNever;
  if (has_deadline) ArmTimeout(deadline);
  // To make room for the entries above, something may have been reaped.
  const bool wait = deadline != kNoWait && reaped_ == reaped_before &&
                    io_uring_cq_ready(&ring_) == 0;
  const int result = wait ? SubmitAndWait() : SubmitAndLook();
  Reap();
  const bool time_is_up = !wait || (has_deadline && timeout_at_ == kNever);
  if (result >= 0 || result == -EINTR) return time_is_up;
  // Entries that were not taken stay queued for the next Poll. With something
  // reaped the kernel has room again; otherwise memory is short, and trying
  // again at once would spin.
  WEFT_CHECK(result == -EBUSY || result == -EAGAIN || result == -ENOMEM);
  if (reaped_ == reaped_before) usleep(kRetryDelay.count() / 1000);
  return true;
}

int UringDriver::SubmitAndLook() {
  return io_uring_submit_and_get_events(&ring_);
}

int UringDriver::SubmitAndWait() {
  if (!RunsOnValgrind()) [[likely]]
    return io_uring_submit_and_wait(&ring_, 1);
  // Valgrind lets one thread run at a time, and none while one is in
  // io_uring_enter(2), which it takes for a call that does not block; 3.19.
  int result = SubmitAndLook();
  while (result >= 0 && io_uring_cq_ready(&ring_) == 0) {
    usleep(1000);
    result = SubmitAndLook();
  }
  return result;
}

void UringDriver::Reap() {
  unsigned head;
  unsigned count = 0;
  io_uring_cqe* completion;
  io_uring_for_each_cqe(&ring_, head, completion) {
    ++count;
    const uint64_t data = completion->user_data;
    if (data == kWakeEvent) {
      wake_is_armed_ = false;
    } else if (data == kTimeout) {
      timeout_at_ = kNever;
    } else if (data != kIgnored) {
      --in_flight_;
      auto& request = *reinterpret_cast<Request*>(data);
      if (RunsOnValgrind()) [[unlikely]]
        TellValgrind(request.operation(), completion->res);
      request.Complete(completion->res);
    }
  }
  io_uring_cq_advance(&ring_, count);
  reaped_ += count;
}

bool UringDriver::HasWork() const {
  // TASKRUN_FLAG makes the kernel say here that completions are waiting for
  // this thread to enter.
  constexpr unsigned kPending = IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW;
  return io_uring_sq_ready(&ring_) > 0 || io_uring_cq_ready(&ring_) > 0 ||
         (IO_URING_READ_ONCE(*ring_.sq.kflags) & kPending) != 0;
}

void UringDriver::Wake() {
  const uint64_t one = 1;
  // Cannot fail: the counter is read at each wake, far below its limit.
  WEFT_CHECK(write(wake_descriptor_, &one, sizeof(one)) == sizeof(one));
}

std::string UringDriver::Describe() const {
  return absl::StrCat("io_uring, ", ring_.sq.ring_entries, " submissions, ",
                      ring_.cq.ring_entries,
                      " completions, deferred task work");
}

}  // namespace weft::internal
