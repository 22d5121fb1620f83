// Limits and refusals of the process, for tests in a child process of their
// own: a limit cannot be taken back.
//
//   EXPECT_EXIT(InChild([] { LimitAddressSpace(size_t{1} << 30); ... }),
//               ::testing::ExitedWithCode(0), "");
#ifndef WEFT_TESTS_CONFORMANCE_LIMITS_H_
#define WEFT_TESTS_CONFORMANCE_LIMITS_H_

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace weft::testing {

// Lets the process map `margin` bytes more than it has mapped now.
inline void LimitAddressSpace(size_t margin) {
  size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const size_t mapped = pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const rlimit limit = {.rlim_cur = mapped + margin, .rlim_max = RLIM_INFINITY};
  ASSERT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
}

// Makes a system call of this process fail with `error`; with 0, do nothing and
// return 0.
inline void Forbid(long number, int error) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 1),
      BPF_STMT(BPF_RET | BPF_K,
               SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog filter = {.len = 4, .filter = program};
  ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  ASSERT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
}

// Runs the body of a death test. The exit code says whether its expectations
// held; GoogleTest keeps what did not hold to itself there, so it is printed.
template <class Body>
[[noreturn]] void InChild(Body body) {
  body();
  const ::testing::TestResult& result =
      *::testing::UnitTest::GetInstance()->current_test_info()->result();
  for (int i = 0; i < result.total_part_count(); ++i) {
    const ::testing::TestPartResult& part = result.GetTestPartResult(i);
    std::fprintf(stderr, "%s:%d: %s\n", part.file_name(), part.line_number(),
                 part.message());
  }
  std::_Exit(result.Failed() ? 1 : 0);
}

}  // namespace weft::testing

#endif  // WEFT_TESTS_CONFORMANCE_LIMITS_H_
