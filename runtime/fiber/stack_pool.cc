#include "weft/runtime/fiber/stack_pool.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "weft/runtime/internal/check.h"

// Linux 6.13; uapi/asm-generic/mman-common.h. Older headers lack it, older
// kernels answer EINVAL.
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

namespace weft::internal {
namespace {

// Larger than the largest frame that a compiler makes without probing it: GCC
// and Clang probe each page of a larger one with -fstack-clash-protection.
constexpr size_t kGuardSize = size_t{16} << 10;

constexpr size_t kMostStacksPerSlab = 256;

// Free stacks that keep their pages, so that a task that comes and goes does
// not pay for page faults each time.
constexpr size_t kMostWarm = 256;
constexpr size_t kWarmAfterTrim = 16;

size_t RoundUpToPage(size_t size) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return (size + page - 1) / page * page;
}

}  // namespace

StackPool::StackPool(size_t stack_size)
    : stack_size_(RoundUpToPage(stack_size)) {
  warm_.reserve(kMostWarm);
  WEFT_CHECK(stack_size_ > 2 * kGuardSize);
}

StackPool::~StackPool() {
  WEFT_CHECK(taken_ == 0);
  WEFT_CHECK(reserved_ == 0);
  for (const Slab& slab : slabs_) munmap(slab.address, slab.size);
}

absl::Status StackPool::Reserve() {
  const std::lock_guard lock(mutex_);
  if (reserved_ == total_ && !Grow()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("start task: the system refused a stack of ", stack_size_,
                     " bytes beside ", total_, " others: ", strerror(errno)));
  }
  ++reserved_;
  return absl::OkStatus();
}

void StackPool::CancelReservation() {
  const std::lock_guard lock(mutex_);
  WEFT_CHECK(reserved_ > taken_);
  --reserved_;
}

Stack StackPool::Take() {
  const std::lock_guard lock(mutex_);
  WEFT_CHECK(taken_ < reserved_);
  ++taken_;
  // The stack used last is the one most likely in the cache.
  std::vector<std::byte*>& from = warm_.empty() ? cold_ : warm_;
  std::byte* const bottom = from.back();
  from.pop_back();
  return {.bottom = bottom, .size = stack_size_ - kGuardSize};
}

void StackPool::Give(Stack stack) {
  std::unique_lock lock(mutex_);
  if (warm_.size() < kMostWarm) {
    warm_.push_back(stack.bottom);
  } else {
    lock.unlock();
    // The guard, which lies below, stays.
    madvise(stack.bottom, stack.size, MADV_DONTNEED);
    lock.lock();
    cold_.push_back(stack.bottom);
  }
  --taken_;
  --reserved_;
}

void StackPool::Trim() {
  const std::lock_guard lock(mutex_);
  while (warm_.size() > kWarmAfterTrim) {
    madvise(warm_.back(), stack_size_ - kGuardSize, MADV_DONTNEED);
    cold_.push_back(warm_.back());
    warm_.pop_back();
  }
}

bool StackPool::HasExcess() const {
  const std::lock_guard lock(mutex_);
  return warm_.size() > kWarmAfterTrim;
}

uint32_t StackPool::taken() const {
  const std::lock_guard lock(mutex_);
  return taken_;
}

bool StackPool::Grow() {
  // Where a large slab is refused, as under RLIMIT_AS, a smaller one may fit.
  for (size_t count = next_slab_; count > 0; count /= 2) {
    const size_t size = count * stack_size_;
    void* const address =
        mmap(nullptr, size, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (address == MAP_FAILED) continue;
    // A huge page would commit the stacks of four tasks at the first touch.
    madvise(address, size, MADV_NOHUGEPAGE);
    auto* const slab = static_cast<std::byte*>(address);
    if (!InstallGuards(slab, count)) {
      const int error = errno;
      munmap(address, size);
      errno = error;
      continue;
    }
    slabs_.push_back({.address = address, .size = size});
    cold_.reserve(total_ + count);
    for (size_t i = count; i > 0; --i) {
      cold_.push_back(slab + (i - 1) * stack_size_ + kGuardSize);
    }
    total_ += count;
    next_slab_ = std::min(2 * count, kMostStacksPerSlab);
    return true;
  }
  return false;
}

bool StackPool::InstallGuards(std::byte* slab, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    std::byte* const guard = slab + i * stack_size_;
    if (guard_by_madvise_) {
      if (madvise(guard, kGuardSize, MADV_GUARD_INSTALL) == 0) continue;
      if (errno != EINVAL) return false;
      guard_by_madvise_ = false;
    }
    if (mprotect(guard, kGuardSize, PROT_NONE) != 0) return false;
  }
  return true;
}

}  // namespace weft::internal
