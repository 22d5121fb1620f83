// What nearly every case includes, and most of what takes time in them: parsed
// once for each compiler.
#ifndef WEFT_TESTS_COMPILE_FAIL_COMMON_H_
#define WEFT_TESTS_COMPILE_FAIL_COMMON_H_

#include "weft/backends/evented/evented.h"
#include "weft/backends/threaded/threaded.h"

#endif  // WEFT_TESTS_COMPILE_FAIL_COMMON_H_
