// OneAtATime: whether a task is in a stretch of code that has room for one.
#ifndef WEFT_NET_INTERNAL_ONE_AT_A_TIME_H_
#define WEFT_NET_INTERNAL_ONE_AT_A_TIME_H_

#include <atomic>

namespace weft::net::internal {

// Movable, so that its owner is; what moves is not in use.
class OneAtATime {
 public:
  OneAtATime() = default;
  OneAtATime(OneAtATime&&) noexcept {}
  OneAtATime& operator=(OneAtATime&&) noexcept { return *this; }
  ~OneAtATime() = default;

  // False if somebody is in. Acquire: sees what the one before did.
  bool TryEnter() { return !busy_.exchange(true, std::memory_order_acquire); }
  // Release: pairs with TryEnter.
  void Leave() { busy_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> busy_{false};
};

}  // namespace weft::net::internal

#endif  // WEFT_NET_INTERNAL_ONE_AT_A_TIME_H_
