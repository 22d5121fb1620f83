// weft's own primitives in small programs with two or three tasks, each also
// with a cancel and a deadline that may come at any point. Nothing may be
// reported on them, in no schedule; on a primitive that was broken on purpose
// (mutants/) something is.
#ifndef WEFT_TESTS_BUGS_PRIMITIVES_H_
#define WEFT_TESTS_BUGS_PRIMITIVES_H_

#include <span>

#include "weft/backends/sim/sim.h"

namespace weft::bugs {

struct Program {
  const char* name;
  void (*body)(Sim&);
};

std::span<const Program> Primitives();

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_PRIMITIVES_H_
