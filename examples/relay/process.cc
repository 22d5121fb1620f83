#include "weft/examples/relay/process.h"

#include <sys/resource.h>

#include <cerrno>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "weft/runtime/status.h"

namespace relay {

absl::Status RaiseDescriptorLimit(uint64_t needed) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return weft::ErrnoStatus(errno, "read the limit on descriptors");
  }
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return weft::ErrnoStatus(errno, "raise the limit on descriptors");
  }
  if (limit.rlim_max < needed) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the hard limit on descriptors (ulimit -Hn) is ",
                     limit.rlim_max, ", and ", needed, " are needed"));
  }
  return absl::OkStatus();
}

Usage ReadUsage() {
  Usage usage;
  std::ifstream status("/proc/self/status");
  for (std::string key; status >> key;) {
    if (key == "Threads:") status >> usage.threads;
    if (key == "VmHWM:") status >> usage.peak_rss_kib;
  }
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto microseconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e6 +
           static_cast<double>(time.tv_usec);
  };
  usage.cpu_us = microseconds(used.ru_utime) + microseconds(used.ru_stime);
  return usage;
}

}  // namespace relay
