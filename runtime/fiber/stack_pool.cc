#include "weft/runtime/fiber/stack_pool.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "weft/runtime/fiber/internal/sanitizer.h"
#include "weft/runtime/internal/check.h"

// Linux 6.13; uapi/asm-generic/mman-common.h. Older headers lack it, older
// kernels answer EINVAL.
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

// Linux 6.14; uapi/linux/pidfd.h. The kernels before answer EBADF.
#ifndef PIDFD_SELF
#define PIDFD_SELF -10000
#endif

namespace weft::internal {
namespace {

// At the top of each stack, for its owner; a cache line keeps the rest aligned.
constexpr size_t kOwnerSize = 64;
static_assert(sizeof(StackOwner) <= kOwnerSize &&
              StackOwner::is_always_lock_free);

constexpr size_t kFirstSlab = 16;
constexpr size_t kMostStacksPerSlab = 256;

// Free stacks that keep their pages, so that a task that comes and goes does
// not pay for page faults each time.
constexpr size_t kMostWarm = 256;
constexpr size_t kWarmAfterTrim = 16;

// The limits above are for stacks of this size or less; there are as many fewer
// as they are larger.
constexpr size_t kFullNumbersUpTo = size_t{512} << 10;

size_t Scaled(size_t number, size_t stack_size) {
  return stack_size <= kFullNumbersUpTo
             ? number
             : number * kFullNumbersUpTo / stack_size;
}

// How many stacks give their pages back together.
constexpr size_t kReleaseBatch = 64;

size_t RoundUpToPage(size_t size) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return (size + page - 1) / page * page;
}

// As madvise(2) for `size` bytes from each of `addresses`, in one call. False
// where the kernel has no process_madvise(2) of that kind; then any part may
// have been done.
bool AdviseAll(std::span<std::byte* const> addresses, size_t size, int advice) {
  // Which does not know the call, and says so on standard error.
  if (RunsOnValgrind()) return false;
  std::array<iovec, kMostStacksPerSlab> ranges;
  WEFT_CHECK(addresses.size() <= ranges.size());
  for (size_t i = 0; i < addresses.size(); ++i) {
    ranges[i] = {.iov_base = addresses[i], .iov_len = size};
  }
  const int64_t advised = syscall(SYS_process_madvise, PIDFD_SELF,
                                  ranges.data(), addresses.size(), advice, 0);
  return advised == static_cast<int64_t>(addresses.size() * size);
}

// Installs guards there, without a mapping for each. Returns 0 or an error;
// EINVAL says that there are none of that kind.
int GuardByAdvice(std::span<std::byte* const> guards) {
  if (!AdviseAll(guards, kGuardSize, MADV_GUARD_INSTALL)) {
    for (std::byte* const guard : guards) {
      if (madvise(guard, kGuardSize, MADV_GUARD_INSTALL) != 0) return errno;
    }
  }
  // qemu-user takes advice that it does not know for a hint, and says yes. A
  // kernel that has these guards cannot read them in, either.
  const bool traps =
      madvise(guards.front(), kGuardSize, MADV_POPULATE_READ) != 0 &&
      errno == EFAULT;
  return traps ? 0 : EINVAL;
}

// reserve() alone would copy everything with each slab.
void MakeRoom(std::vector<std::byte*>& stacks, size_t count) {
  if (stacks.capacity() >= count) return;
  stacks.reserve(std::max(count, 2 * stacks.capacity()));
}

}  // namespace

void PoisonStack(std::byte* bottom, std::byte* top) {
  constexpr int kPoison = 0xDB;
  constexpr size_t kOutermostFrames = 2048;
  if (ForbidStack(bottom, static_cast<size_t>(top - bottom))) return;
  std::memset(top - kOutermostFrames, kPoison, kOutermostFrames);
}

StackPool::StackPool(size_t stack_size, StackPages pages)
    : stack_size_(RoundUpToPage(stack_size)),
      pages_(pages),
      most_warm_(pages == StackPages::kFresh ? 0
                                             : Scaled(kMostWarm, stack_size_)),
      warm_after_trim_(Scaled(kWarmAfterTrim, stack_size_)),
      next_slab_(std::max<size_t>(1, Scaled(kFirstSlab, stack_size_))) {
  WEFT_CHECK(stack_size_ > 2 * kGuardSize);
}

StackPool::~StackPool() {
  WEFT_CHECK(taken_ == 0);
  WEFT_CHECK(reserved_ == 0);
  for (const Slab& slab : slabs_) {
    // What is mapped there next knows nothing of this.
    AsanUnpoison(slab.address, slab.size);
    GuardedStacks::Remove(*slab.guarded);
    munmap(slab.address, slab.size);
  }
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
  const Stack stack = {.bottom = bottom,
                       .size = stack_size_ - kGuardSize - kOwnerSize,
                       .pool = this};
  BeginStack(stack.bottom, stack.size);
  return stack;
}

void StackPool::Give(Stack stack) {
  std::array<std::byte*, kReleaseBatch> batch;
  size_t count = 0;
  std::unique_lock lock(mutex_);
  warm_.push_back(stack.bottom);
  --taken_;
  --reserved_;
  if (warm_.size() <= most_warm_) return;
  // Those that were used longest ago. While they are on their way they count
  // as reserved, so that nobody is promised one of them.
  count = std::min({kReleaseBatch, warm_.size(), total_ - reserved_});
  const auto end = warm_.begin() + static_cast<std::ptrdiff_t>(count);
  std::copy(warm_.begin(), end, batch.begin());
  warm_.erase(warm_.begin(), end);
  reserved_ += count;
  lock.unlock();
  Release(std::span(batch).first(count));
  lock.lock();
  cold_.insert(cold_.end(), batch.begin(), batch.begin() + count);
  reserved_ -= count;
}

void StackPool::Trim() {
  const std::lock_guard lock(mutex_);
  while (warm_.size() > warm_after_trim_) {
    const size_t count =
        std::min(kReleaseBatch, warm_.size() - warm_after_trim_);
    const auto batch = std::span<std::byte* const>(warm_).last(count);
    Release(batch);
    cold_.insert(cold_.end(), batch.begin(), batch.end());
    warm_.resize(warm_.size() - count);
  }
}

void StackPool::Release(std::span<std::byte* const> bottoms) const {
  // The guards, which lie below, stay. One call for many: with each, the
  // kernel interrupts all processors that run a thread of this process.
  const size_t size = stack_size_ - kGuardSize;
  if (AdviseAll(bottoms, size, MADV_DONTNEED)) return;
  for (std::byte* const bottom : bottoms) {
    madvise(bottom, size, MADV_DONTNEED);
  }
}

bool StackPool::HasExcess() const {
  const std::lock_guard lock(mutex_);
  return warm_.size() > warm_after_trim_;
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
    // The owners are null: they lie in fresh memory.
    const auto* const first_owner =
        reinterpret_cast<StackOwner*>(slab + stack_size_ - kOwnerSize);
    slabs_.push_back({.address = address,
                      .size = size,
                      .guarded = &GuardedStacks::Add(
                          {.begin = slab,
                           .count = count,
                           .stack_size = stack_size_,
                           .guard_size = kGuardSize,
                           .measured = pages_ == StackPages::kFresh,
                           .first_owner = first_owner})});
    // So that giving back never allocates.
    MakeRoom(cold_, total_ + count);
    MakeRoom(warm_, total_ + count);
    for (size_t i = count; i > 0; --i) {
      cold_.push_back(slab + (i - 1) * stack_size_ + kGuardSize);
    }
    total_ += count;
    next_slab_ =
        std::min(2 * count,
                 std::max<size_t>(1, Scaled(kMostStacksPerSlab, stack_size_)));
    return true;
  }
  return false;
}

bool StackPool::InstallGuards(std::byte* slab, size_t count) {
  std::array<std::byte*, kMostStacksPerSlab> guards;
  for (size_t i = 0; i < count; ++i) guards[i] = slab + i * stack_size_;
  const auto all = std::span(guards).first(count);
  if (guard_by_madvise_) {
    const int error = GuardByAdvice(all);
    if (error == 0) return true;
    if (error != EINVAL) {
      errno = error;
      return false;
    }
    guard_by_madvise_ = false;
  }
  for (std::byte* const guard : all) {
    if (mprotect(guard, kGuardSize, PROT_NONE) != 0) return false;
  }
  return true;
}

}  // namespace weft::internal
