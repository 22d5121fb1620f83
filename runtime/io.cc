#include "weft/runtime/io.h"

namespace weft {

absl::Status Sleep(Io& io, Duration span) {
  return io.SleepUntil(After(io.Now(), span));
}

}  // namespace weft
