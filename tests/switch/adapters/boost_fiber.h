// Boost.Fiber, with its own scheduler of each thread. That only ever says
// "somebody may go on", so both sides wait until it is their turn.
#ifndef WEFT_TESTS_SWITCH_ADAPTERS_BOOST_FIBER_H_
#define WEFT_TESTS_SWITCH_ADAPTERS_BOOST_FIBER_H_

#include <boost/context/protected_fixedsize_stack.hpp>
#include <boost/fiber/condition_variable.hpp>
#include <boost/fiber/fiber.hpp>
#include <boost/fiber/mutex.hpp>
#include <cstddef>
#include <memory>
#include <mutex>

#include "weft/tests/switch/adapter.h"

namespace weft::switches {

struct BoostFiberSwitch {
  static constexpr const char* kName = "Boost.Fiber";
  static constexpr Keeps kKeeps = {.floating_control = true};

  class Fiber {
   public:
    Fiber(void (*entry)(void*), void* argument, size_t stack_size)
        : entry_(entry), argument_(argument), stack_size_(stack_size) {}
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;
    ~Fiber() {
      if (fiber_.joinable()) fiber_.join();
    }

    void Resume() {
      std::unique_lock lock(mutex_);
      fibers_turn_ = true;
      if (!fiber_.joinable()) {
        fiber_ = boost::fibers::fiber(
            boost::fibers::launch::post, std::allocator_arg,
            // Room for what the library itself keeps there.
            boost::context::protected_fixedsize_stack(stack_size_ + kOwn),
            [this] { Main(); });
      }
      turn_.notify_all();
      turn_.wait(lock, [this] { return !fibers_turn_; });
    }

    void Pause() {
      std::unique_lock lock(mutex_);
      fibers_turn_ = false;
      turn_.notify_all();
      turn_.wait(lock, [this] { return fibers_turn_; });
    }

   private:
    static constexpr size_t kOwn = size_t{8} << 10;

    void Main() {
      entry_(argument_);
      const std::lock_guard lock(mutex_);
      fibers_turn_ = false;
      turn_.notify_all();
    }

    void (*const entry_)(void*);
    void* const argument_;
    const size_t stack_size_;
    boost::fibers::mutex mutex_;
    boost::fibers::condition_variable turn_;
    bool fibers_turn_ = false;
    boost::fibers::fiber fiber_;
  };
};

}  // namespace weft::switches

#endif  // WEFT_TESTS_SWITCH_ADAPTERS_BOOST_FIBER_H_
