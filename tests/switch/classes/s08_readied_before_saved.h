// S8: a fiber says where it can be woken and then saves its registers. Another
// thread may wake it in between and go on with registers of long ago, on a
// stack that is still in use.
#ifndef WEFT_TESTS_SWITCH_CLASSES_S08_READIED_BEFORE_SAVED_H_
#define WEFT_TESTS_SWITCH_CLASSES_S08_READIED_BEFORE_SAVED_H_

#include <cstdint>
#include <utility>

#include "weft/tests/switch/adapter.h"
#include "weft/tests/switch/scheduler.h"

namespace weft::switches::s08_readied_before_saved {

struct Class {
  static constexpr const char* kName = "s08_readied_before_saved";

  // Fibers on two workers wake each other, pair by pair, as fast as they can:
  // with several pairs no worker is asleep when it is wanted.
  template <class Switch>
  static void Check() {
    using Runtime = RuntimeOf<Switch>;
    Game<Runtime> games[kPairs];
    const auto play_all = [&games](int side) {
      return [&games, side](Runtime& runtime) {
        typename Runtime::Task* others[kPairs - 1];
        for (int i = 0; i < kPairs - 1; ++i) {
          others[i] = runtime.Spawn([&games, i, side](Runtime& inner) {
            Play(games[i + 1], side, inner);
          });
        }
        Play(games[0], side, runtime);
        for (auto* const other : others) runtime.Await(other);
      };
    };
    // The third worker is idle: the first to fall for a wake that is too soon.
    Runtime::Run({play_all(0), play_all(1), [](Runtime&) {}});
  }

 private:
  static constexpr int kPairs = 4;
  static constexpr uint64_t kRounds = 500;

  // Each half is touched by one fiber only.
  template <class Runtime>
  struct Game {
    typename Runtime::Signal turns[2];
    bool began[2] = {};
    uint64_t moves[2] = {};
  };

  template <class Runtime>
  static void Play(Game<Runtime>& game, int side, Runtime& runtime) {
    Expect(!std::exchange(game.began[side], true),
           "a fiber went on with registers of long ago: at its beginning");
    const auto first = static_cast<uint64_t>(side);
    uint64_t values[4] = {first, first + 10, first + 20, first + 30};
    for (uint64_t round = 0; round < kRounds; ++round) {
      // The first move is side 0's.
      if (round > 0 || side == 1) runtime.Wait(game.turns[side]);
      Expect(game.moves[side]++ == round,
             "a fiber went on with registers of long ago");
      for (uint64_t i = 0; i < 4; ++i) {
        Expect(values[i] == first + 10 * i + round,
               "a fiber went on with a stack that was in use");
        ++values[i];
      }
      runtime.Notify(game.turns[1 - side]);
    }
  }
};

}  // namespace weft::switches::s08_readied_before_saved

#endif  // WEFT_TESTS_SWITCH_CLASSES_S08_READIED_BEFORE_SAVED_H_
