#include "weft/runtime/internal/processors.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

namespace weft::internal {
namespace {

constexpr char kMountsV2[] =
    "22 1 0:21 / /proc rw - proc proc rw\n"
    "31 22 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
constexpr char kMountsV1[] =
    "31 22 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /cg/cpuset rw - cgroup cgroup rw,cpuset\n"
    "33 31 0:30 / /cg/cpu,cpuacct rw shared:7 - cgroup cgroup rw,cpu,cpuacct\n";

// A folder with files of its own in place of the kernel's.
class ProcessorsTest : public ::testing::Test {
 protected:
  ProcessorsTest() {
    char name[] = "/tmp/weft_processors_XXXXXX";
    root_ = mkdtemp(name);
  }
  ~ProcessorsTest() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  void WriteProcess(const std::string& groups, const std::string& mounts) {
    Write("/proc/self/cgroup", groups);
    Write("/proc/self/mountinfo", mounts);
  }

  std::string root_;
};

TEST_F(ProcessorsTest, NoQuotaWithoutControlGroups) {
  EXPECT_EQ(ProcessorQuota(root_), std::nullopt);
}

TEST_F(ProcessorsTest, QuotaIsThatOfTheGroupOfTheProcess) {
  WriteProcess("0::/service\n", kMountsV2);
  Write("/sys/fs/cgroup/other/cpu.max", "100000 100000\n");
  Write("/sys/fs/cgroup/service/cpu.max", "300000 100000\n");
  EXPECT_EQ(ProcessorQuota(root_), 3u);
}

TEST_F(ProcessorsTest, PartOfAProcessorCountsAsOne) {
  WriteProcess("0::/\n", kMountsV2);
  const std::string file = "/sys/fs/cgroup/cpu.max";
  Write(file, "50000 100000\n");
  EXPECT_EQ(ProcessorQuota(root_), 1u);
  Write(file, "200000 100000\n");
  EXPECT_EQ(ProcessorQuota(root_), 2u);
  Write(file, "200001 100000\n");
  EXPECT_EQ(ProcessorQuota(root_), 3u);
}

TEST_F(ProcessorsTest, TightestGroupOnTheWayUpCounts) {
  WriteProcess("0::/a/b/c\n", kMountsV2);
  Write("/sys/fs/cgroup/a/cpu.max", "400000 100000\n");
  Write("/sys/fs/cgroup/a/b/cpu.max", "20000 10000\n");
  Write("/sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
  EXPECT_EQ(ProcessorQuota(root_), 2u);
}

TEST_F(ProcessorsTest, GroupWithoutALimitHasNoQuota) {
  WriteProcess("0::/a\n", kMountsV2);
  Write("/sys/fs/cgroup/a/cpu.max", "max 100000\n");
  EXPECT_EQ(ProcessorQuota(root_), std::nullopt);
}

TEST_F(ProcessorsTest, FilesThatMakeNoSenseSetNoLimit) {
  WriteProcess("0::/a\nno group\n0::a\n", kMountsV2);
  for (const char* text : {"", "many 1", "100000", "-1 100000", "5 0"}) {
    Write("/sys/fs/cgroup/a/cpu.max", text);
    EXPECT_EQ(ProcessorQuota(root_), std::nullopt) << text;
  }
}

TEST_F(ProcessorsTest, Version1HasTwoFiles) {
  WriteProcess("5:cpuset:/a\n4:cpu,cpuacct:/a/b\n0::/a\n", kMountsV1);
  Write("/cg/cpuset/a/cpu.cfs_quota_us", "100000\n");
  Write("/cg/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
  Write("/cg/cpu,cpuacct/a/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(ProcessorQuota(root_), std::nullopt);
  Write("/cg/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n");
  Write("/cg/cpu,cpuacct/a/b/cpu.cfs_quota_us", "150000\n");
  EXPECT_EQ(ProcessorQuota(root_), 2u);
}

TEST_F(ProcessorsTest, MountedGroupIsTheTopOfWhatAContainerSees) {
  // With the path that the host sees, and with one that cannot be seen.
  for (const char* group : {"/box/7/service", "/elsewhere"}) {
    WriteProcess(std::string("0::") + group + "\n",
                 "31 22 0:28 /box/7 /my\\040groups rw - cgroup2 cgroup2 rw\n");
    Write("/my groups/cpu.max", "500000 100000\n");
    EXPECT_EQ(ProcessorQuota(root_), 5u);
  }
  Write("/my groups/service/cpu.max", "400000 100000\n");
  WriteProcess("0::/box/7/service\n",
               "31 22 0:28 /box/7 /my\\040groups rw - cgroup2 cgroup2 rw\n");
  EXPECT_EQ(ProcessorQuota(root_), 4u);
}

TEST_F(ProcessorsTest, AffinityAndQuotaBothLimit) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  ASSERT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
  const auto affinity = static_cast<uint32_t>(CPU_COUNT(&allowed));
  EXPECT_EQ(AvailableProcessors(root_), affinity);
  WriteProcess("0::/\n", kMountsV2);
  Write("/sys/fs/cgroup/cpu.max", "10000000 1000\n");
  EXPECT_EQ(AvailableProcessors(root_), affinity);
  Write("/sys/fs/cgroup/cpu.max", "1000 10000\n");
  EXPECT_EQ(AvailableProcessors(root_), 1u);
}

}  // namespace
}  // namespace weft::internal
