#include "weft/backends/evented/internal/fiber.h"

#include "weft/backends/evented/internal/worker.h"

namespace weft::internal {

void OperationPark::Stop() {
  if (cancelled_ || completed_) return;
  cancelled_ = true;
  driver_.Cancel(*this);
}

void OperationPark::Complete(int64_t result) {
  result_ = result;
  completed_ = true;
  fiber().worker.MakeReady(fiber());
}

void FutexPark::Stop() {
  // If a wake was faster it makes the fiber ready, not we.
  if (ParkingLot::Remove(*this)) fiber().worker.MakeReady(fiber());
}

void FutexPark::Resume() {
  // Seen by the fiber through the queue that makes it ready.
  resumed_ = true;
  fiber().worker.MakeReadyFromAnywhere(fiber());
}

void SleepPark::Stop() {
  // A cancel and the timer may both come before the fiber runs.
  if (stopped_) return;
  stopped_ = true;
  fiber().worker.MakeReady(fiber());
}

}  // namespace weft::internal
