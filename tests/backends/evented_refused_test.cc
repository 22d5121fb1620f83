// What Evented says when the kernel refuses what it needs (U13, U26). The
// refusals are made in child processes, for they cannot be taken back.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "weft/backends/evented/evented.h"
#include "weft/backends/run.h"
#include "weft/tests/conformance/backends.h"
#include "weft/tests/conformance/limits.h"
#include "weft/tests/switch/pretend_shadow_stack.h"

namespace weft {
namespace {

using testing::Forbid;
using testing::InChild;
using testing::ProcessCensus;

class EventedRefusedTest
    : public testing::ConformanceTest<testing::EventedUring2> {
 protected:
  static absl::Status Create(uint32_t workers = 2) {
    return Evented::Create({.workers = workers}).status();
  }

  // Create fails so and leaves nothing behind.
  static void ExpectRefusal(uint32_t workers, absl::StatusCode code,
                            const std::string& message) {
    const ProcessCensus before = ProcessCensus::Take();
    const absl::Status status = Create(workers);
    EXPECT_EQ(status.code(), code);
    EXPECT_EQ(std::string(status.message()), message);
    EXPECT_EQ(ProcessCensus::Take().descriptors, before.descriptors);
    while (ProcessCensus::Take().threads > before.threads) {
      std::this_thread::yield();
    }
  }
};

using absl::StatusCode;

TEST_F(EventedRefusedTest, SeccompFilterIsNamed) {
  EXPECT_EXIT(InChild([] {
                Forbid(SYS_io_uring_setup, EPERM);
                ExpectRefusal(
                    2, StatusCode::kFailedPrecondition,
                    "io_uring: setup: operation not permitted; a seccomp "
                    "filter or kernel.io_uring_disabled forbids it");
              }),
              ::testing::ExitedWithCode(0), "");
}

TEST_F(EventedRefusedTest, KernelWithoutIoUringIsNamed) {
  EXPECT_EXIT(InChild([] {
                Forbid(SYS_io_uring_setup, ENOSYS);
                ExpectRefusal(
                    2, StatusCode::kFailedPrecondition,
                    "io_uring: setup: not supported by this kernel; the "
                    "kernel was built without it or a sandbox hides it");
              }),
              ::testing::ExitedWithCode(0), "");
}

TEST_F(EventedRefusedTest, OldKernelIsNamed) {
  EXPECT_EXIT(InChild([] {
                Forbid(SYS_io_uring_setup, EINVAL);
                ExpectRefusal(
                    2, StatusCode::kFailedPrecondition,
                    "io_uring: setup: invalid argument; the kernel is below "
                    "the level of Linux 6.1");
              }),
              ::testing::ExitedWithCode(0), "");
}

TEST_F(EventedRefusedTest, LockedMemoryIsNamed) {
  EXPECT_EXIT(InChild([] {
                Forbid(SYS_io_uring_setup, ENOMEM);
                ExpectRefusal(2, StatusCode::kResourceExhausted,
                              "io_uring: setup: out of memory; RLIMIT_MEMLOCK "
                              "may be too small");
              }),
              ::testing::ExitedWithCode(0), "");
}

TEST_F(EventedRefusedTest, ProbeThatIsRefusedIsNamed) {
  EXPECT_EXIT(
      InChild([] {
        Forbid(SYS_io_uring_register, EPERM);
        const absl::Status status = Create();
        EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
        EXPECT_TRUE(absl::StrContains(status.message(), "io_uring: probe: "))
            << status;
      }),
      ::testing::ExitedWithCode(0), "");
}

TEST_F(EventedRefusedTest, LackOfDescriptorsIsNamed) {
  EXPECT_EXIT(InChild([] {
                Forbid(SYS_eventfd2, EMFILE);
                ExpectRefusal(2, StatusCode::kResourceExhausted,
                              "io_uring: eventfd: too many open files in this "
                              "process");
              }),
              ::testing::ExitedWithCode(0), "");
}

#if defined(__x86_64__)
// S9
TEST_F(EventedRefusedTest, ShadowStackIsNamed) {
  EXPECT_EXIT(InChild([] {
                switches::PretendShadowStack();
                ExpectRefusal(
                    2, StatusCode::kFailedPrecondition,
                    "fibers: this thread has a shadow stack, which fibers "
                    "cannot switch; start the program with "
                    "GLIBC_TUNABLES=glibc.cpu.x86_shstk=off or use the "
                    "threaded backend");
              }),
              ::testing::ExitedWithCode(0), "");
}
#endif

TEST_F(EventedRefusedTest, RunReturnsTheRefusal) {
  EXPECT_EXIT(
      InChild([] {
        Forbid(SYS_io_uring_setup, EPERM);
        Options options;
        options.backend = BackendKind::kEvented;
        bool called = false;
        EXPECT_EQ(weft::Run(options, [&](auto&) { called = true; }).code(),
                  StatusCode::kFailedPrecondition);
        EXPECT_EQ(RunMain(options, [&](auto&) { called = true; }), 2);
        EXPECT_FALSE(called);
        options.backend = BackendKind::kThreaded;
        EXPECT_TRUE(weft::Run(options, [&](auto&) { called = true; }).ok());
        EXPECT_TRUE(called);
      }),
      ::testing::ExitedWithCode(0), "io_uring: setup: operation not permitted");
}

// U13: with few descriptors left, the first worker or the second one is the
// one that is refused.
TEST_F(EventedRefusedTest, AllWorkersStartOrNone) {
  EXPECT_EXIT(InChild([] {
                rlimit limit;
                ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
                const size_t before = ProcessCensus::Take().descriptors;
                int refused = 0;
                for (rlim_t most = 3; most < 100; ++most) {
                  limit.rlim_cur = most;
                  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
                  const absl::Status status = Create(3);
                  limit.rlim_cur = limit.rlim_max;
                  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
                  EXPECT_EQ(ProcessCensus::Take().descriptors, before);
                  if (status.ok()) break;
                  ++refused;
                  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted)
                      << status;
                  EXPECT_TRUE(absl::EndsWith(
                      status.message(), "too many open files in this process"))
                      << status;
                }
                // Each worker takes two at least.
                EXPECT_GE(refused, 6);
                EXPECT_TRUE(Create(3).ok());
              }),
              ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace weft
