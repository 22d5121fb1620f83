// What the sanitizers and Valgrind are told of stacks and switches. Empty
// inline functions where a tool is not there.
#ifndef WEFT_RUNTIME_FIBER_INTERNAL_SANITIZER_H_
#define WEFT_RUNTIME_FIBER_INTERNAL_SANITIZER_H_

#include <cstddef>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEFT_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define WEFT_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define WEFT_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define WEFT_TSAN 1
#endif

#if defined(WEFT_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(WEFT_TSAN)
#include <sanitizer/tsan_interface.h>
#endif
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define WEFT_VALGRIND 1
#endif

namespace weft::internal {

// AddressSanitizer's view of one stack.
struct AsanStack {
  void* fake_stack = nullptr;
  const void* bottom = nullptr;
  size_t size = 0;
};

// Before a switch. `last` says that the stack left will not be run again.
inline void AsanStartSwitch([[maybe_unused]] AsanStack& from,
                            [[maybe_unused]] const AsanStack& to,
                            [[maybe_unused]] bool last) {
#if defined(WEFT_ASAN)
  __sanitizer_start_switch_fiber(last ? nullptr : &from.fake_stack, to.bottom,
                                 to.size);
#endif
}

// After a switch, on the stack that runs now. Fills in where the stack lies
// that was left: for a thread's own stack nobody else knows.
inline void AsanFinishSwitch([[maybe_unused]] const AsanStack& to,
                             [[maybe_unused]] AsanStack& from) {
#if defined(WEFT_ASAN)
  __sanitizer_finish_switch_fiber(to.fake_stack, &from.bottom, &from.size);
#endif
}

// Makes a range usable again that frames of an earlier user of the stack have
// poisoned.
inline void AsanUnpoison([[maybe_unused]] const void* begin,
                         [[maybe_unused]] size_t size) {
#if defined(WEFT_ASAN)
  __asan_unpoison_memory_region(begin, size);
#endif
}

inline void* TsanCreateFiber() {
#if defined(WEFT_TSAN)
  return __tsan_create_fiber(0);
#else
  return nullptr;
#endif
}

inline void* TsanCurrentFiber() {
#if defined(WEFT_TSAN)
  return __tsan_get_current_fiber();
#else
  return nullptr;
#endif
}

// Inlined without optimisation, too: else the entry of this function would be
// noted for one fiber and its exit for the other.
[[gnu::always_inline]] inline void TsanSwitch([[maybe_unused]] void* to) {
#if defined(WEFT_TSAN)
  __tsan_switch_to_fiber(to, 0);
#endif
}

inline void TsanDestroyFiber([[maybe_unused]] void* fiber) {
#if defined(WEFT_TSAN)
  __tsan_destroy_fiber(fiber);
#endif
}

// Tells of a stack that it may be written to anywhere, whatever the frames of
// an earlier user were.
inline void BeginStack([[maybe_unused]] void* begin,
                       [[maybe_unused]] size_t size) {
  AsanUnpoison(begin, size);
#if defined(WEFT_VALGRIND)
  VALGRIND_MAKE_MEM_UNDEFINED(begin, size);
#endif
}

// Makes each use of a stack an error until BeginStack; false if nobody is there
// to see it.
inline bool ForbidStack([[maybe_unused]] void* begin,
                        [[maybe_unused]] size_t size) {
#if defined(WEFT_ASAN)
  __asan_poison_memory_region(begin, size);
  return true;
#elif defined(WEFT_VALGRIND)
  return VALGRIND_MAKE_MEM_NOACCESS(begin, size) != 0;
#else
  return false;
#endif
}

inline bool RunsOnValgrind() {
#if defined(WEFT_VALGRIND)
  return RUNNING_ON_VALGRIND != 0;
#else
  return false;
#endif
}

// Tells of memory that the kernel has filled in a way that Valgrind does not
// know.
inline void ValgrindFilled([[maybe_unused]] const void* begin,
                           [[maybe_unused]] size_t size) {
#if defined(WEFT_VALGRIND)
  VALGRIND_MAKE_MEM_DEFINED(begin, size);
#endif
}

inline unsigned ValgrindRegisterStack([[maybe_unused]] const void* begin,
                                      [[maybe_unused]] const void* end) {
#if defined(WEFT_VALGRIND)
  return static_cast<unsigned>(VALGRIND_STACK_REGISTER(begin, end));
#else
  return 0;
#endif
}

inline void ValgrindDeregisterStack([[maybe_unused]] unsigned id) {
#if defined(WEFT_VALGRIND)
  VALGRIND_STACK_DEREGISTER(id);
#endif
}

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_FIBER_INTERNAL_SANITIZER_H_
