// What a fiber library shows to the suite: a struct such as
//
//   struct MySwitch {
//     static constexpr const char* kName = "mine";
//     // What a fiber has of its own, by the library's contract.
//     static constexpr Keeps kKeeps = {.error = true};
//
//     class Fiber {
//      public:
//       // Will call `entry(argument)` on a stack with `stack_size` usable
//       // bytes. The fiber ends when the entry returns.
//       Fiber(void (*entry)(void*), void* argument, size_t stack_size);
//       ~Fiber();       // of a fiber that has ended
//       void Resume();  // from a thread: runs it until it pauses or ends
//       void Pause();   // from within: goes back to whoever resumed it
//     };
//   };
//
// A fiber is resumed by one thread only, the one that first resumed it. Where
// the library has work that it puts off, such as giving memory back, a static
// `void Idle()` does it. The classes are in classes/; docs/switching.md says
// how to build them for another library.
#ifndef WEFT_TESTS_SWITCH_ADAPTER_H_
#define WEFT_TESTS_SWITCH_ADAPTER_H_

#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <functional>
#include <string>
#include <utility>

// Set where the sanitizer watches, which stands in the way of some classes.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEFT_SWITCH_ASAN 1
#endif
#if __has_feature(memory_sanitizer)
#define WEFT_SWITCH_MSAN 1
#endif
#if __has_feature(thread_sanitizer)
#define WEFT_SWITCH_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define WEFT_SWITCH_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define WEFT_SWITCH_TSAN 1
#endif

#if defined(WEFT_SWITCH_MSAN)
#include <sanitizer/msan_interface.h>
#endif
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif

namespace weft::switches {

// What a fiber has of its own. The suite tests all of it; a library that does
// not claim a thing is not wrong without it, but its users have to know.
struct Keeps {
  bool error = false;             // errno
  bool exceptions = false;        // caught and uncaught exceptions
  bool floating_control = false;  // MXCSR, x87; FPCR
  bool sanitizers = false;        // ASan and TSan are told of switches
};

// How a class ends the process it runs in.
inline constexpr int kExitPassed = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitCannot = 3;

[[noreturn]] inline void End(int code, const char* what) {
  for (const char* part : {what, "\n"}) {
    [[maybe_unused]] const ssize_t written =
        write(STDERR_FILENO, part, strlen(part));
  }
  // At once: what a wrong switch has broken should not get another chance, and
  // a sanitizer would wait for other threads first.
  syscall(SYS_exit_group, code);
  __builtin_unreachable();
}

inline void Expect(bool holds, const char* otherwise) {
  if (!holds) [[unlikely]]
    End(kExitFailed, otherwise);
}

// The same of what is looked at after a pause in one of many ways.
inline void ExpectAfter(const char* way, bool holds, const char* otherwise) {
  if (!holds) [[unlikely]] {
    End(kExitFailed, (std::string("after ") + way + ": " + otherwise).c_str());
  }
}

// For a lambda that has to be compiled into the function that calls it.
#define WEFT_SWITCH_INLINE __attribute__((always_inline))

// The class cannot be shown in this build.
[[noreturn]] inline void Cannot(const char* why) { End(kExitCannot, why); }

inline bool RunsOnValgrind() {
#if defined(RUNNING_ON_VALGRIND)
  return RUNNING_ON_VALGRIND != 0;
#else
  return false;
#endif
}

// Keeps the compiler from knowing anything about a value.
template <class T>
[[gnu::always_inline]] inline T Opaque(T value) {
  asm volatile("" : "+r"(value) : : "memory");
  return value;
}

// Tells MemorySanitizer of an object that libstdc++ has filled in: there it
// does not look.
template <class T>
void FilledByLibrary([[maybe_unused]] T& object) {
#if defined(WEFT_SWITCH_MSAN)
  __msan_unpoison(&object, sizeof(object));
#endif
}

inline constexpr size_t kStackSize = size_t{128} << 10;

// A fiber with a body.
template <class Switch>
class Flow {
 public:
  using Body = std::function<void(Flow&)>;

  explicit Flow(Body body, size_t stack_size = kStackSize)
      : body_(std::move(body)), fiber_(&Flow::Main, this, stack_size) {}
  Flow(const Flow&) = delete;
  Flow& operator=(const Flow&) = delete;
  ~Flow() { Expect(ended_, "a fiber was left before its end"); }

  [[gnu::always_inline]] void Resume() { fiber_.Resume(); }
  [[gnu::always_inline]] void Pause() { fiber_.Pause(); }
  bool ended() const { return ended_; }

 private:
  static void Main(void* flow) {
    auto& self = *static_cast<Flow*>(flow);
    self.body_(self);
    self.ended_ = true;
  }

  const Body body_;
  bool ended_ = false;
  typename Switch::Fiber fiber_;
};

}  // namespace weft::switches

#endif  // WEFT_TESTS_SWITCH_ADAPTER_H_
