// Every bug of this folder.
#ifndef WEFT_TESTS_BUGS_BUGS_H_
#define WEFT_TESTS_BUGS_BUGS_H_

#include <span>

#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

std::span<const Bug> AllBugs();

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_BUGS_H_
