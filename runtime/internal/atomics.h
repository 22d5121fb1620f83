// What the primitives are made of, chosen by their backend: plain atomics and
// a plain lock, or ones at which a deterministic backend may let another task
// run first.
//
//   template <class Atomics>
//   class LatchCore {
//     typename Atomics::template Atomic<uint32_t> count_;
//     typename Atomics::Lock lock_;
//   };
//
// A backend that explores schedules says `using Atomics = ExploredAtomics`;
// every other one gets NativeAtomics, which are the standard library's types
// and cost nothing more. The code is one: what is explored is what ships.
#ifndef WEFT_RUNTIME_INTERNAL_ATOMICS_H_
#define WEFT_RUNTIME_INTERNAL_ATOMICS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <type_traits>

#include "absl/base/thread_annotations.h"
#include "weft/runtime/internal/current.h"
#include "weft/runtime/internal/explorer.h"

namespace weft::internal {

struct NativeAtomics {
  template <class T>
  using Atomic = std::atomic<T>;
  // Guards a few instructions at a time; never held while a task parks.
  using Lock = std::mutex;
  // The order in which to take several locks.
  static bool Before(const Lock* a, const Lock* b) {
    return std::less<>()(a, b);
  }

  // Nobody wants to be told.
  static void Acquired(const Held&) {}
  static void Releasing(const void*, uint32_t = 1) {}
  static void Gone(const void*) {}
  static void Notified(const void*, const Task*) {}
  struct TaskNote {
    explicit TaskNote(const Task&) {}
    const Task* task() const { return nullptr; }
  };
};

// A scheduling point before each access, which is then sequentially
// consistent: one thread runs all tasks. The order that the caller asked for
// is therefore dropped here; hardware and ThreadSanitizer look after it.
template <class T>
class ExploredAtomic {
  using Difference =
      std::conditional_t<std::is_pointer_v<T>, std::ptrdiff_t, T>;

 public:
  using value_type = T;
  static constexpr bool is_always_lock_free =
      std::atomic<T>::is_always_lock_free;

  ExploredAtomic() = default;
  constexpr ExploredAtomic(T value) : value_(value) {}  // as std::atomic
  ExploredAtomic(const ExploredAtomic&) = delete;
  ExploredAtomic& operator=(const ExploredAtomic&) = delete;

  T load(std::memory_order = std::memory_order_seq_cst) const {
    Point();
    return value_.load(std::memory_order_relaxed);
  }
  void store(T value, std::memory_order = std::memory_order_seq_cst) {
    Point();
    value_.store(value, std::memory_order_relaxed);
  }
  T exchange(T value, std::memory_order = std::memory_order_seq_cst) {
    Point();
    return value_.exchange(value, std::memory_order_relaxed);
  }
  bool compare_exchange_strong(T& expected, T desired,
                               std::memory_order = std::memory_order_seq_cst,
                               std::memory_order = std::memory_order_seq_cst) {
    Point();
    return value_.compare_exchange_strong(expected, desired,
                                          std::memory_order_relaxed);
  }
  bool compare_exchange_weak(T& expected, T desired,
                             std::memory_order = std::memory_order_seq_cst,
                             std::memory_order = std::memory_order_seq_cst) {
    return compare_exchange_strong(expected, desired);
  }
  T fetch_add(Difference count, std::memory_order = std::memory_order_seq_cst) {
    Point();
    return value_.fetch_add(count, std::memory_order_relaxed);
  }
  T fetch_sub(Difference count, std::memory_order = std::memory_order_seq_cst) {
    Point();
    return value_.fetch_sub(count, std::memory_order_relaxed);
  }
  T fetch_or(T bits, std::memory_order = std::memory_order_seq_cst) {
    Point();
    return value_.fetch_or(bits, std::memory_order_relaxed);
  }
  T fetch_and(T bits, std::memory_order = std::memory_order_seq_cst) {
    Point();
    return value_.fetch_and(bits, std::memory_order_relaxed);
  }
  T fetch_xor(T bits, std::memory_order = std::memory_order_seq_cst) {
    Point();
    return value_.fetch_xor(bits, std::memory_order_relaxed);
  }

  operator T() const { return load(); }  // as std::atomic
  T operator=(T value) {
    store(value);
    return value;
  }
  T operator++() { return fetch_add(1) + 1; }
  T operator++(int) { return fetch_add(1); }
  T operator--() { return fetch_sub(1) - 1; }
  T operator--(int) { return fetch_sub(1); }
  T operator+=(Difference count) { return fetch_add(count) + count; }
  T operator-=(Difference count) { return fetch_sub(count) - count; }
  T operator|=(T bits) { return fetch_or(bits) | bits; }
  T operator&=(T bits) { return fetch_and(bits) & bits; }
  T operator^=(T bits) { return fetch_xor(bits) ^ bits; }

  // The word itself, for FutexWait and FutexWake.
  const std::atomic<T>& word() const { return value_; }

 private:
  void Point() const {
    if (current_explorer != nullptr) current_explorer->Point(this);
  }

  std::atomic<T> value_;
};

// A lock whose waiting is the explorer's: others run while it is held.
class ABSL_LOCKABLE ExploredLock {
 public:
  ExploredLock()
      : number_(current_explorer == nullptr ? 0
                                            : current_explorer->NumberLock()) {}
  ExploredLock(const ExploredLock&) = delete;
  ExploredLock& operator=(const ExploredLock&) = delete;

  void lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    if (current_explorer != nullptr) {
      current_explorer->Point(this);
      while (held_) current_explorer->WaitForLock(this);
    }
    Take();
  }
  bool try_lock() ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) {
    if (current_explorer != nullptr) current_explorer->Point(this);
    if (held_) return false;
    Take();
    return true;
  }
  void unlock() ABSL_UNLOCK_FUNCTION() {
    held_ = false;
    if (current_explorer != nullptr) current_explorer->LockReleased(this);
  }

  // The task that holds it, while it is held; null outside of tasks.
  const Task* holder() const { return holder_; }

  // As they were made. Addresses are not the same in every run; those that
  // were made outside of the schedule have nothing better.
  static bool Before(const ExploredLock* a, const ExploredLock* b) {
    return a->number_ != b->number_ ? a->number_ < b->number_
                                    : std::less<>()(a, b);
  }

 private:
  void Take() {
    held_ = true;
    holder_ = current.task;
  }

  const uint64_t number_;
  bool held_ = false;
  const Task* holder_ = nullptr;
};

struct ExploredAtomics {
  template <class T>
  using Atomic = ExploredAtomic<T>;
  using Lock = ExploredLock;
  static bool Before(const Lock* a, const Lock* b) {
    return ExploredLock::Before(a, b);
  }

  static void Acquired(const Held& held) {
    if (current_explorer != nullptr) current_explorer->Acquired(held);
  }
  static void Releasing(const void* object, uint32_t count = 1) {
    if (current_explorer != nullptr) current_explorer->Releasing(object, count);
  }
  static void Gone(const void* object) {
    if (current_explorer != nullptr) current_explorer->Gone(object);
  }
  static void Notified(const void* object, const Task* woken) {
    if (current_explorer != nullptr) current_explorer->Notified(object, woken);
  }
  class TaskNote {
   public:
    explicit TaskNote(const Task& task) : task_(&task) {}
    const Task* task() const { return task_; }

   private:
    const Task* task_;
  };
};

// The word of an atomic of either kind, for FutexWait and FutexWake.
template <class T>
const std::atomic<T>& WordOf(const std::atomic<T>& atomic) {
  return atomic;
}
template <class T>
const std::atomic<T>& WordOf(const ExploredAtomic<T>& atomic) {
  return atomic.word();
}

template <class B>
struct AtomicsOfBackend {
  using type = NativeAtomics;
};
template <class B>
requires requires { typename B::Atomics; }
struct AtomicsOfBackend<B> {
  using type = typename B::Atomics;
};
// What the primitives of backend B are made of.
template <class B>
using AtomicsOf = typename AtomicsOfBackend<B>::type;

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_INTERNAL_ATOMICS_H_
