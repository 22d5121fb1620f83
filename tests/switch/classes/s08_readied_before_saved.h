// S8: a fiber says where it can be woken and then saves its registers. Another
// thread may wake it in between and go on with registers of long ago, on a
// stack that is still in use.
#ifndef WEFT_TESTS_SWITCH_CLASSES_S08_READIED_BEFORE_SAVED_H_
#define WEFT_TESTS_SWITCH_CLASSES_S08_READIED_BEFORE_SAVED_H_

#include <cstdint>

#include "weft/tests/switch/adapter.h"
#include "weft/tests/switch/scheduler.h"

namespace weft::switches::s08_readied_before_saved {

struct Class {
  static constexpr const char* kName = "s08_readied_before_saved";

  // Two fibers on two workers wake each other as fast as they can.
  template <class Switch>
  static void Check() {
    using Runtime = RuntimeOf<Switch>;
    typename Runtime::Signal turns[2];
    const auto play = [&turns](uint64_t side) {
      return [&turns, side](Runtime& runtime) {
        uint64_t values[4] = {side, side + 10, side + 20, side + 30};
        for (uint64_t round = 0; round < kRounds; ++round) {
          // The first move is side 0's.
          if (round > 0 || side == 1) runtime.Wait(turns[side]);
          for (uint64_t i = 0; i < 4; ++i) {
            Expect(values[i] == side + 10 * i + round,
                   "a fiber went on with registers of long ago");
            ++values[i];
          }
          runtime.Notify(turns[1 - side]);
        }
      };
    };
    // The third worker is idle: the first to fall for a wake that is too soon.
    Runtime::Run({play(0), play(1), [](Runtime&) {}});
  }

 private:
  static constexpr uint64_t kRounds = 500;
};

}  // namespace weft::switches::s08_readied_before_saved

#endif  // WEFT_TESTS_SWITCH_CLASSES_S08_READIED_BEFORE_SAVED_H_
