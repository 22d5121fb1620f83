#include "weft/runtime/fiber/stack_pools.h"

#include <bit>

#include "weft/runtime/internal/check.h"
#include "weft/runtime/options.h"

namespace weft::internal {

StackPools::StackPools(size_t usual_size, StackPages pages)
    : usual_size_(usual_size) {
  pools_.emplace_back(usual_size, pages);
  for (size_t size = kLeastStackSize; size <= kMostStackSize; size *= 2) {
    pools_.emplace_back(size, pages);
  }
}

absl::Status StackPools::Reserve(size_t size) {
  const size_t index = IndexFor(size);
  used_.fetch_or(uint32_t{1} << index, std::memory_order_relaxed);
  return pools_[index].Reserve();
}

void StackPools::Trim() {
  for (StackPool& pool : pools_) pool.Trim();
}

bool StackPools::HasExcess() const {
  uint32_t used = used_.load(std::memory_order_relaxed);
  for (; used != 0; used &= used - 1) {
    const auto index = static_cast<size_t>(std::countr_zero(used));
    if (pools_[index].HasExcess()) return true;
  }
  return false;
}

size_t StackPools::IndexFor(size_t size) const {
  if (size == 0 || size == usual_size_) return 0;
  const size_t rounded = std::bit_ceil(size);
  WEFT_CHECK(rounded >= kLeastStackSize && rounded <= kMostStackSize);
  return 1 + static_cast<size_t>(std::countr_zero(rounded) -
                                 std::countr_zero(kLeastStackSize));
}

}  // namespace weft::internal
