#include "weft/runtime/internal/processors.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_split.h"

namespace weft::internal {
namespace {

constexpr uint32_t kNoLimit = std::numeric_limits<uint32_t>::max();

uint32_t AllowedByAffinity() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return 1;
  return static_cast<uint32_t>(CPU_COUNT(&allowed));
}

// A control group hierarchy in which the process is: of version 2, or of
// version 1 and with the controller cpu; cgroups(7).
struct Hierarchy {
  bool is_v2 = false;
  std::string group;  // of the process, from the root of the hierarchy
  // Of the file system: which group is mounted where.
  std::string root;
  std::string mount_point;
};

bool HasCpu(const std::string& list) {
  const std::vector<std::string> controllers = absl::StrSplit(list, ',');
  return std::count(controllers.begin(), controllers.end(), "cpu") > 0;
}

// Sets the mounted group and its place, of a hierarchy that is mounted.
bool FindMount(const std::string& file_root, Hierarchy& hierarchy) {
  std::ifstream mounts(file_root + "/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    // "36 35 98:0 ROOT MOUNT_POINT rw shared:1 - TYPE SOURCE rw,cpu"
    const size_t separator = line.find(" - ");
    if (separator == std::string::npos) continue;
    std::istringstream left(line.substr(0, separator));
    std::istringstream right(line.substr(separator + 3));
    std::string skipped;
    std::string root;
    std::string mount_point;
    std::string type;
    std::string options;
    left >> skipped >> skipped >> skipped >> root >> mount_point;
    right >> type >> skipped >> options;
    const bool fits = hierarchy.is_v2 ? type == "cgroup2"
                                      : type == "cgroup" && HasCpu(options);
    // Blanks are written in octal.
    if (fits && absl::CUnescape(root, &hierarchy.root) &&
        absl::CUnescape(mount_point, &hierarchy.mount_point)) {
      return true;
    }
  }
  return false;
}

std::vector<Hierarchy> FindHierarchies(const std::string& file_root) {
  std::vector<Hierarchy> result;
  std::ifstream groups(file_root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    // "0::GROUP", or "4:cpu,cpuacct:GROUP"
    const std::vector<std::string> fields =
        absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3) continue;
    Hierarchy hierarchy{.is_v2 = fields[0] == "0" && fields[1].empty(),
                        .group = fields[2]};
    if ((hierarchy.is_v2 || HasCpu(fields[1])) &&
        FindMount(file_root, hierarchy)) {
      result.push_back(std::move(hierarchy));
    }
  }
  return result;
}

// Of one group, in processors.
uint32_t QuotaIn(const std::string& folder) {
  int64_t quota = 0;
  int64_t period = 0;
  // Version 2; without a limit it has "max" for the quota.
  std::ifstream limit(folder + "/cpu.max");
  if (!(limit >> quota >> period)) {
    // Version 1; without a limit it is -1.
    std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;
    std::ifstream(folder + "/cpu.cfs_period_us") >> period;
  }
  if (quota <= 0 || period <= 0) return kNoLimit;
  const int64_t processors = quota / period + (quota % period != 0 ? 1 : 0);
  return static_cast<uint32_t>(std::min<int64_t>(processors, kNoLimit));
}

uint32_t QuotaOf(const std::string& file_root, const Hierarchy& hierarchy) {
  // Where the group is, from the mounted one. In a container that does not see
  // the groups of its host, the mounted one is its own.
  const std::string root = hierarchy.root == "/" ? "" : hierarchy.root;
  std::string group = hierarchy.group == "/" ? "" : hierarchy.group;
  if (group == root || group.starts_with(root + "/")) {
    group.erase(0, root.size());
  } else {
    group.clear();
  }
  const std::string top = file_root + hierarchy.mount_point;
  uint32_t quota = QuotaIn(top);
  for (; !group.empty(); group.resize(group.rfind('/'))) {
    quota = std::min(quota, QuotaIn(top + group));
  }
  return quota;
}

}  // namespace

std::optional<uint32_t> ProcessorQuota(const std::string& file_root) {
  uint32_t quota = kNoLimit;
  for (const Hierarchy& hierarchy : FindHierarchies(file_root)) {
    quota = std::min(quota, QuotaOf(file_root, hierarchy));
  }
  if (quota == kNoLimit) return std::nullopt;
  return quota;
}

uint32_t AvailableProcessors(const std::string& file_root) {
  const uint32_t quota = ProcessorQuota(file_root).value_or(kNoLimit);
  return std::max<uint32_t>(std::min(AllowedByAffinity(), quota), 1);
}

}  // namespace weft::internal
