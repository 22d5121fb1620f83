#include "weft/backends/evented/internal/inspection.h"

#include <algorithm>

namespace weft::internal {

void InspectionRequest::Answered(uint32_t index) {
  const std::lock_guard lock(mutex_);
  answered_[index] = true;
  changed_.notify_one();
}

bool InspectionRequest::Await(Duration span) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, span, [this] {
    return std::find(answered_.begin(), answered_.end(), false) ==
           answered_.end();
  });
}

bool InspectionRequest::HasAnswered(uint32_t index) {
  const std::lock_guard lock(mutex_);
  return answered_[index];
}

void InspectionQueue::Post(std::shared_ptr<InspectionRequest> request) {
  const std::lock_guard lock(mutex_);
  requests_.push_back(std::move(request));
  posted_.store(true, std::memory_order_relaxed);
}

std::vector<std::shared_ptr<InspectionRequest>> InspectionQueue::Take() {
  const std::lock_guard lock(mutex_);
  posted_.store(false, std::memory_order_relaxed);
  return std::exchange(requests_, {});
}

}  // namespace weft::internal
