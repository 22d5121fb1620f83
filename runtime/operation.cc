#include "weft/runtime/operation.h"

#include <array>

namespace weft {

const char* Name(const Operation& operation) {
  // In the order of the variant.
  static constexpr std::array<const char*, std::variant_size_v<Operation>>
      kNames = {"accept",  "connect", "recv",  "send",  "recvmsg",
                "sendmsg", "read",    "write", "fsync", "poll"};
  return kNames[operation.index()];
}

}  // namespace weft
