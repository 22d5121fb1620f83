// weft's own switch and stacks.
#ifndef WEFT_TESTS_SWITCH_ADAPTERS_WEFT_H_
#define WEFT_TESTS_SWITCH_ADAPTERS_WEFT_H_

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "weft/runtime/fiber/context.h"
#include "weft/runtime/fiber/stack_pool.h"
#include "weft/tests/switch/adapter.h"

namespace weft::switches {

struct WeftSwitch {
  static constexpr const char* kName = "weft";
  static constexpr Keeps kKeeps = {.error = true,
                                   .exceptions = true,
                                   .floating_control = true,
                                   .sanitizers = true};

  class Fiber {
   public:
    Fiber(void (*entry)(void*), void* argument, size_t stack_size)
        : entry_(entry),
          argument_(argument),
          pool_(PoolOf(stack_size)),
          stack_(Take(pool_)),
          context_(stack_.bottom, stack_size, &Fiber::Main, this) {}
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;
    ~Fiber() { pool_.Give(stack_); }

    void Resume() {
      resumer_ = &OfThread();
      resumer_->SwitchTo(context_);
    }
    [[gnu::always_inline]] void Pause() { context_.SwitchTo(*resumer_); }

   private:
    static internal::Stack Take(internal::StackPool& pool) {
      Expect(pool.Reserve().ok(), "no stack");
      return pool.Take();
    }
    [[gnu::noinline]] static internal::Context& OfThread() {
      static thread_local internal::Context context;
      return context;
    }
    static void Main(void* fiber) {
      auto& self = *static_cast<Fiber*>(fiber);
      self.entry_(self.argument_);
      self.context_.SwitchToForGood(*self.resumer_);
    }

    void (*const entry_)(void*);
    void* const argument_;
    internal::StackPool& pool_;
    const internal::Stack stack_;
    internal::Context context_;
    internal::Context* resumer_ = nullptr;
  };

  static void Idle() {
    const std::lock_guard lock(GetPools().mutex);
    for (const auto& pool : GetPools().pools) pool->pool.Trim();
  }

 private:
  struct PoolOfSize {
    // What the pool takes for the guard and for the owner, in pages.
    static constexpr size_t kTaken = size_t{20} << 10;

    explicit PoolOfSize(size_t size) : stack_size(size), pool(size + kTaken) {}

    const size_t stack_size;
    internal::StackPool pool;
  };
  struct Pools {
    std::mutex mutex;
    std::vector<std::unique_ptr<PoolOfSize>> pools;
  };

  static Pools& GetPools() {
    static Pools& pools = *new Pools();
    return pools;
  }
  static internal::StackPool& PoolOf(size_t stack_size) {
    const std::lock_guard lock(GetPools().mutex);
    auto& pools = GetPools().pools;
    for (const auto& known : pools) {
      if (known->stack_size == stack_size) return known->pool;
    }
    return pools.emplace_back(std::make_unique<PoolOfSize>(stack_size))->pool;
  }
};

}  // namespace weft::switches

#endif  // WEFT_TESTS_SWITCH_ADAPTERS_WEFT_H_
