// One class for one library:
//
//   c++ -std=c++20 -DWEFT_SWITCH_CLASS=s02_errno -DWEFT_SWITCH=MySwitch
//       -DWEFT_SWITCH_ADAPTER='"my_switch.h"' alone.cc
//
// Prints what went wrong. Status 0: passed; 1: failed; 2: failed, but the
// library does not claim it; 3: cannot be shown in this build. With
// -DWEFT_SWITCH_TWINS='"weft/tests/switch/wrong_switches.h"' the argument
// "wrong" runs the wrong twins of the class. Status 0: each was caught.
#define WEFT_SWITCH_TEXT_OF(path) #path
#define WEFT_SWITCH_TEXT(path) WEFT_SWITCH_TEXT_OF(path)
// A path, not a quotient.
// clang-format off
#define WEFT_SWITCH_HEADER(name) \
  WEFT_SWITCH_TEXT(weft/tests/switch/classes/name.h)
// clang-format on

#include WEFT_SWITCH_HEADER(WEFT_SWITCH_CLASS)
#include WEFT_SWITCH_ADAPTER
#ifdef WEFT_SWITCH_TWINS
#include WEFT_SWITCH_TWINS
#endif

#include <cstdio>
#include <cstring>

#include "weft/tests/switch/run_check.h"
#include "weft/tests/switch/twins.h"

namespace weft::switches {
namespace {

using WEFT_SWITCH_CLASS::Class;

template <class Switch, class Tested>
constexpr bool Claims() {
  if constexpr (requires { Tested::kKept; }) {
    return Switch::kKeeps.*Tested::kKept;
  } else {
    return true;
  }
}

void Print(const Check& check, const Outcome& outcome) {
  static constexpr const char* kVerdicts[] = {"passed", "failed", "crashed",
                                              "hung", "cannot be shown"};
  const char* const verdict = kVerdicts[static_cast<size_t>(outcome.verdict)];
  std::printf("%s: %s: %s%s%s\n", Class::kName, check.name, verdict,
              outcome.message.empty() ? "" : ": ", outcome.message.c_str());
}

int RunRight() {
  const Check check = CheckOf<Class, WEFT_SWITCH>();
  const Outcome outcome = RunCheck(check.run);
  Print(check, outcome);
  switch (outcome.verdict) {
    case Verdict::kPassed:
      return 0;
    case Verdict::kCannot:
      return 3;
    default:
      return Claims<WEFT_SWITCH, Class>() ? 1 : 2;
  }
}

int RunWrong() {
  const std::vector<Check> twins = TwinsOf<Class>::template All<Class>();
  int status = twins.empty() ? 3 : 0;
  for (const Check& twin : twins) {
    const Outcome outcome = RunCheck(twin.run);
    Print(twin, outcome);
    if (outcome.verdict == Verdict::kCannot) {
      if (status == 0) status = 3;
    } else if (!IsCaught(outcome)) {
      status = 1;
    }
  }
  return status;
}

}  // namespace
}  // namespace weft::switches

int main(int count, char** arguments) {
  const bool wrong = count > 1 && std::strcmp(arguments[1], "wrong") == 0;
  return wrong ? weft::switches::RunWrong() : weft::switches::RunRight();
}
