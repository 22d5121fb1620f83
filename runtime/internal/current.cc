#include "weft/runtime/internal/current.h"

namespace weft::internal {

constinit thread_local Current current;

}  // namespace weft::internal
