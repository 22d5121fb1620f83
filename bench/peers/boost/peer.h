// What the Boost programs share: the command line, memory, figures.
#ifndef WEFT_BENCH_PEERS_BOOST_PEER_H_
#define WEFT_BENCH_PEERS_BOOST_PEER_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace peer {

struct Settings {
  std::string job;
  uint64_t count = 1000;
  unsigned seconds = 1;
};

inline Settings Parse(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--job") settings.job = argv[i + 1];
    if (name == "--count") settings.count = std::stoull(argv[i + 1]);
    if (name == "--seconds") {
      settings.seconds = static_cast<unsigned>(std::stoul(argv[i + 1]));
    }
  }
  return settings;
}

inline int NoSuchJob(const Settings& settings) {
  std::fprintf(stderr, "no such job: %s\n", settings.job.c_str());
  return EXIT_FAILURE;
}

// Bytes of memory that this process has now: pages, and the tables that say
// where they are.
inline uint64_t Memory() {
  std::ifstream status("/proc/self/status");
  uint64_t sum = 0;
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) != 0 && line.rfind("VmPTE:", 0) != 0) continue;
    sum += std::strtoull(line.c_str() + line.find(':') + 1, nullptr, 10);
  }
  return sum * 1024;
}

inline double Median(std::vector<double>& values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

inline void PrintSleepers(std::chrono::steady_clock::time_point start,
                          double bytes_per_task) {
  const std::chrono::duration<double> span =
      std::chrono::steady_clock::now() - start;
  std::printf(
      "{\"job\": \"sleepers\", \"wall_s\": %.4f, \"bytes_per_task\": %.0f}\n",
      span.count(), bytes_per_task);
}

inline void PrintCancels(const Settings& settings,
                         std::vector<double>& latency_us) {
  std::sort(latency_us.begin(), latency_us.end());
  std::printf(
      "{\"job\": \"%s\", \"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": "
      "%.1f}\n",
      settings.job.c_str(), latency_us[latency_us.size() / 2],
      latency_us[latency_us.size() - 1 - latency_us.size() / 100],
      latency_us.back());
}

}  // namespace peer

#endif  // WEFT_BENCH_PEERS_BOOST_PEER_H_
