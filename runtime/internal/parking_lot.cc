#include "weft/runtime/internal/parking_lot.h"

#include <sched.h>

#include <array>
#include <cstddef>
#include <mutex>

namespace weft::internal {
namespace {

using WaiterList = boost::intrusive::list<Waiter>;

// A cache line each.
struct alignas(64) Bucket {
  std::mutex mutex;
  // Wakers that have taken waiters off and are resuming them.
  std::atomic<uint32_t> resuming{0};
  // Of all words that hash here, in order of arrival.
  boost::intrusive::list<Waiter, boost::intrusive::constant_time_size<false>>
      waiters;
};

constexpr size_t kBucketBits = 12;

using Buckets = std::array<Bucket, size_t{1} << kBucketBits>;

Buckets& AllBuckets() {
  // Never destroyed: tasks of static objects may end after static destructors.
  static auto& buckets = *new Buckets();
  return buckets;
}

Bucket& BucketOf(const void* address) {
  // Fibonacci hashing; the low bits of addresses carry little.
  const auto bits = reinterpret_cast<uintptr_t>(address);
  return AllBuckets()[(bits * 0x9E3779B97F4A7C15u) >> (64 - kBucketBits)];
}

}  // namespace

bool ParkingLot::Enter(Waiter& waiter, const std::atomic<uint32_t>& word,
                       uint32_t expected) {
  waiter.address_ = &word;
  Bucket& bucket = BucketOf(&word);
  const std::lock_guard lock(bucket.mutex);
  if (word.load(std::memory_order_seq_cst) != expected) return false;
  waiter.parked_ = true;
  bucket.waiters.push_back(waiter);
  return true;
}

uint32_t ParkingLot::Wake(const std::atomic<uint32_t>& word, uint32_t count) {
  Bucket& bucket = BucketOf(&word);
  WaiterList taken;
  {
    const std::lock_guard lock(bucket.mutex);
    for (auto it = bucket.waiters.begin();
         it != bucket.waiters.end() && taken.size() < count;) {
      Waiter& waiter = *it;
      if (waiter.address_ != &word) {
        ++it;
        continue;
      }
      it = bucket.waiters.erase(it);
      waiter.parked_ = false;
      taken.push_back(waiter);
    }
    if (taken.empty()) return 0;
    bucket.resuming.fetch_add(1, std::memory_order_relaxed);
  }
  uint32_t woken = 0;
  while (!taken.empty()) {
    Waiter& waiter = taken.front();
    // Off the list first: after Resume the waiter may be gone.
    taken.pop_front();
    waiter.Resume();
    ++woken;
  }
  // Release pairs with the acquire in AwaitResumes.
  bucket.resuming.fetch_sub(1, std::memory_order_release);
  return woken;
}

void ParkingLot::AwaitResumes() {
  for (Bucket& bucket : AllBuckets()) {
    // Behind the lock: a waker that took a waiter before is counted by now.
    bucket.mutex.lock();
    bucket.mutex.unlock();
    while (bucket.resuming.load(std::memory_order_acquire) != 0) sched_yield();
  }
}

bool ParkingLot::Remove(Waiter& waiter) {
  Bucket& bucket = BucketOf(waiter.address_);
  const std::lock_guard lock(bucket.mutex);
  if (!waiter.parked_) return false;
  waiter.parked_ = false;
  bucket.waiters.erase(bucket.waiters.iterator_to(waiter));
  return true;
}

}  // namespace weft::internal
