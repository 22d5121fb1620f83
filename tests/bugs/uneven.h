// One task has 25 events and two have one each, which have to come, in order,
// between the last two events of the first. A walk that gives each task the
// same chance at each step is through with the short ones long before.
#ifndef WEFT_TESTS_BUGS_UNEVEN_H_
#define WEFT_TESTS_BUGS_UNEVEN_H_

#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <bool repaired>
void Uneven(Sim& io) {
  constexpr int kEvents = 25;
  Shared<int> events{0};
  bool first_was_there = false;
  const auto work = [&] {
    for (int i = 0; i < kEvents; ++i) events.fetch_add(1);
  };
  const auto first = [&] { first_was_there = events.load() == kEvents - 1; };
  const auto second = [&] {
    const bool there = events.load() == kEvents - 1;
    Expect(io, repaired || !first_was_there || !there,
           "both came just before the last event");
  };
  Together(io, work, first, second);
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_UNEVEN_H_
