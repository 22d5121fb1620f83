#include "weft/runtime/fiber/shadow_stack.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace weft::internal {

absl::Status CheckShadowStacks() {
#if defined(__x86_64__)
  // Linux 6.6; uapi/asm/prctl.h. The kernels before answer EINVAL, as do those
  // without the feature.
  constexpr int kStatus = 0x5005;         // ARCH_SHSTK_STATUS
  constexpr uint64_t kShadowStack = 0x1;  // ARCH_SHSTK_SHSTK
  uint64_t features = 0;
  if (syscall(SYS_arch_prctl, kStatus, &features) == 0 &&
      (features & kShadowStack) != 0) {
    return absl::FailedPreconditionError(
        "fibers: this thread has a shadow stack, which fibers cannot switch; "
        "start the program with GLIBC_TUNABLES=glibc.cpu.x86_shstk=off or use "
        "the threaded backend");
  }
#endif
  return absl::OkStatus();
}

}  // namespace weft::internal
