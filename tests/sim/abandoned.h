// For tests in which a schedule is abandoned on purpose.
#ifndef WEFT_TESTS_SIM_ABANDONED_H_
#define WEFT_TESTS_SIM_ABANDONED_H_

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEFT_TESTS_LSAN 1
#include <sanitizer/lsan_interface.h>
#endif
#endif

namespace weft::sim {

// What is allocated while it lives is not looked for by the leak checker: the
// tasks of an abandoned schedule are never freed.
class KeepAbandoned {
 public:
#if defined(WEFT_TESTS_LSAN)
  KeepAbandoned() { __lsan_disable(); }
  ~KeepAbandoned() { __lsan_enable(); }
#else
  KeepAbandoned() {}
#endif
  KeepAbandoned(const KeepAbandoned&) = delete;
  KeepAbandoned& operator=(const KeepAbandoned&) = delete;
};

}  // namespace weft::sim

#endif  // WEFT_TESTS_SIM_ABANDONED_H_
