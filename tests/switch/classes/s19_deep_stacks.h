// S19: locals of megabytes and TLS handshakes need large stacks. Those that
// keep every page that was ever touched cost all that memory for good after one
// burst.
#ifndef WEFT_TESTS_SWITCH_CLASSES_S19_DEEP_STACKS_H_
#define WEFT_TESTS_SWITCH_CLASSES_S19_DEEP_STACKS_H_

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "weft/tests/switch/adapter.h"
#include "weft/tests/switch/deep.h"

namespace weft::switches::s19_deep_stacks {

struct Class {
  static constexpr const char* kName = "s19_deep_stacks";

  template <class Switch>
  static void Check() {
    std::vector<uintptr_t> deepest;
    {
      std::vector<std::unique_ptr<Flow<Switch>>> burst;
      for (int i = 0; i < kBurst; ++i) {
        burst.push_back(std::make_unique<Flow<Switch>>(
            [&deepest](Flow<Switch>& self) {
              Dive(kDeep, [&](uintptr_t local) {
                deepest.push_back(local);
                self.Pause();
              });
            },
            kLarge));
        burst.back()->Resume();
      }
      Expect(Resident(deepest) == kBurst, "a deep frame is not in memory");
      for (const auto& flow : burst) flow->Resume();
    }
    if constexpr (requires { Switch::Idle(); }) Switch::Idle();
    Expect(Resident(deepest) <= kBurst / 2,
           "the memory of a burst was not given back");
  }

 private:
  static constexpr int kBurst = 48;
  static constexpr size_t kLarge = size_t{512} << 10;
  static constexpr size_t kDeep = size_t{300} << 10;

  static int Resident(const std::vector<uintptr_t>& addresses) {
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    int count = 0;
    for (const uintptr_t address : addresses) {
      unsigned char in_memory = 0;
      auto* const start = reinterpret_cast<void*>(address / page * page);
      if (mincore(start, page, &in_memory) == 0) count += in_memory & 1;
    }
    return count;
  }
};

}  // namespace weft::switches::s19_deep_stacks

#endif  // WEFT_TESTS_SWITCH_CLASSES_S19_DEEP_STACKS_H_
