// The token of a schedule: one line of text from which it runs again.
//
//   2:portfolio:5eed:10000:100000:elp:deadlock:+0s+1.4a1-1f0
//
// The version of the format, the strategy (for people), the seed in
// hexadecimal, the two limits on steps, the switch faults that are on, how the
// schedule failed, its history, and the faults, if it has any
// (fault_injector.h).
#ifndef WEFT_BACKENDS_SIM_INTERNAL_TOKEN_H_
#define WEFT_BACKENDS_SIM_INTERNAL_TOKEN_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "weft/backends/sim/internal/history.h"
#include "weft/backends/sim/switch_faults.h"

namespace weft::sim {

// How a token spells a switch fault.
struct SwitchFaultLetter {
  char letter;
  bool SwitchFaultOptions::*member;
};
inline constexpr SwitchFaultLetter kSwitchFaultLetters[] = {
    {'e', &SwitchFaultOptions::errno_marker},
    {'l', &SwitchFaultOptions::late_results},
    {'p', &SwitchFaultOptions::poison_stacks},
};

struct Token {
  std::string strategy;
  uint64_t seed = 0;
  uint64_t unfair_steps = 0;
  uint64_t max_steps = 0;
  SwitchFaultOptions switch_faults;
  std::string failure;  // the name of a FailureKind, or kCrash
  History history;
  std::string faults;

  static constexpr char kVersion[] = "2";
  static constexpr char kCrash[] = "crash";

  std::string ToString() const;
  // INVALID_ARGUMENT says what is wrong with the text.
  static absl::StatusOr<Token> Parse(std::string_view text);
};

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_INTERNAL_TOKEN_H_
