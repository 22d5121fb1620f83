// The io_uring driver.
//
// SINGLE_ISSUER and DEFER_TASKRUN, so the level of Linux 6.1 is its floor. All
// submissions of one turn of the loop go into the kernel in one system call
// together with the wait.
#ifndef WEFT_BACKENDS_EVENTED_INTERNAL_URING_DRIVER_H_
#define WEFT_BACKENDS_EVENTED_INTERNAL_URING_DRIVER_H_

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "weft/backends/evented/internal/driver.h"

namespace weft::internal {

class UringDriver final : public Driver {
 public:
  // For the calling thread. FAILED_PRECONDITION where io_uring is refused or
  // lacks a feature, RESOURCE_EXHAUSTED where memory or descriptors do; the
  // message says what was refused and what usually is the reason.
  static absl::StatusOr<std::unique_ptr<UringDriver>> Create(uint32_t entries);

  // All requests must be complete: the kernel writes into their frames.
  ~UringDriver() override;

  void Submit(Request& request) override;
  void Cancel(Request& request) override;
  bool Poll(MonotonicTime deadline) override;
  bool HasWork() const override;
  void Wake() override;
  std::string Describe() const override;

 private:
  UringDriver() = default;

  absl::Status SetUp(uint32_t entries);
  absl::Status ProbeOperations();
  void Prepare(io_uring_sqe& entry, const Operation& operation);
  // A free submission entry; makes room if the queue is full.
  io_uring_sqe& NextEntry();
  void ArmWake();
  // Has the ring complete something at `deadline`, or earlier.
  void ArmTimeout(MonotonicTime deadline);
  // Hand over what is queued; results as those of liburing.
  int SubmitAndLook();
  int SubmitAndWait();
  // Completes everything in the completion queue.
  void Reap();

  io_uring ring_ = {};
  bool ring_is_set_up_ = false;
  uint64_t reaped_ = 0;  // completions so far
  int wake_descriptor_ = -1;
  uint64_t wake_count_ = 0;  // where the kernel reads the descriptor to
  bool wake_is_armed_ = false;
  size_t in_flight_ = 0;  // requests submitted and not complete
  // The one timeout operation in the ring: when it ends, kNever if there is
  // none, and where the kernel reads that when it takes the entry.
  MonotonicTime timeout_at_ = kNever;
  __kernel_timespec timeout_ = {};
};

}  // namespace weft::internal

#endif  // WEFT_BACKENDS_EVENTED_INTERNAL_URING_DRIVER_H_
