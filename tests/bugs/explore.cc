// What tools/explore runs: explorations of the bugs of this folder, of the
// primitives and of nothing much, with the figures that say how good they are.
#include "weft/backends/sim/explore.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "weft/tests/bugs/bugs.h"
#include "weft/tests/bugs/failures.h"
#include "weft/tests/bugs/primitives.h"

ABSL_FLAG(bool, bugs, false, "Find each bug, and nothing on its twin.");
ABSL_FLAG(bool, strategies, false, "With --bugs: with every strategy.");
ABSL_FLAG(bool, primitives, false, "Find nothing in weft's own primitives.");
ABSL_FLAG(bool, speed, false, "How fast, and does memory grow?");
ABSL_FLAG(bool, list, false, "Name all programs.");
ABSL_FLAG(bool, json, false, "One JSON object a line.");
ABSL_FLAG(bool, twin, false, "Explore the repaired twin of a bug.");
ABSL_FLAG(bool, faults, false, "Let operations and starts fail, one by one.");
ABSL_FLAG(std::string, strategy, "portfolio", "As in strategy.h.");
ABSL_FLAG(uint64_t, schedules, 100'000, "How many to run at most.");
ABSL_FLAG(uint64_t, seed, 1, "Of a single exploration.");
ABSL_FLAG(uint64_t, seeds, 20, "How often each bug is looked for.");
ABSL_FLAG(uint64_t, bound, 2, "Preemptions of the exhaustive search.");

namespace weft::bugs {
namespace {

using sim::ExploreResult;
using sim::FindFailure;
using SteadyClock = std::chrono::steady_clock;

double Seconds(SteadyClock::time_point since) {
  return std::chrono::duration<double>(SteadyClock::now() - since).count();
}

uint64_t ResidentKilobytes() {
  std::ifstream file("/proc/self/statm");
  uint64_t whole = 0;
  uint64_t resident = 0;
  file >> whole >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) / 1024;
}

void Print(const std::string& json, const std::string& text) {
  std::puts(absl::GetFlag(FLAGS_json) ? json.c_str() : text.c_str());
  std::fflush(stdout);
}

const char* Truth(bool value) { return value ? "true" : "false"; }

bool IsWanted(const std::string& name, std::span<const std::string> names) {
  return names.empty() || std::ranges::find(names, name) != names.end();
}

// --- Bugs --------------------------------------------------------------------

// Schedules to the first find over all seeds.
struct Finds {
  double mean = 0;
  uint64_t most = 0;
  uint64_t missed = 0;  // seeds with which it was not found
};

// Gives up on a bug once the sum of all seeds is more than `most_mean` for
// each.
Finds Find(const Bug& bug, const std::string& strategy, uint64_t most_mean) {
  Finds finds;
  uint64_t seeds = absl::GetFlag(FLAGS_seeds);
  // Without a seed, there is nothing to repeat.
  if (strategy.starts_with("exhaustive") || strategy == "roundrobin") seeds = 1;
  const uint64_t most = seeds * most_mean;
  uint64_t sum = 0;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    if (sum == most) {
      finds.missed += seeds - seed + 1;
      break;
    }
    const ExploreResult result = FindFailure({.schedules = most - sum,
                                              .strategy = strategy,
                                              .seed = seed,
                                              .shrink = false},
                                             bug.bug);
    sum += result.schedules;
    finds.most = std::max(finds.most, result.schedules);
    finds.missed += result.ok() ? 1 : 0;
  }
  finds.mean = static_cast<double>(sum) / static_cast<double>(seeds);
  return finds;
}

bool ReportBug(const Bug& bug) {
  // What is missed by less gets a mean that is known.
  static constexpr uint64_t kFarBeyond = 20;
  const std::string strategy = absl::GetFlag(FLAGS_strategy);
  const auto budget = static_cast<uint64_t>(bug.Budget());
  const Finds finds = Find(bug, strategy, kFarBeyond * budget);
  const uint64_t schedules = absl::GetFlag(FLAGS_schedules);
  const ExploreResult twin =
      FindFailure({.schedules = schedules, .strategy = strategy}, bug.twin);
  const bool found =
      finds.missed == 0 && finds.mean <= static_cast<double>(budget);
  Print(absl::StrFormat(
            R"({"bug": "%s", "strategy": "%s", "found_in": %.1f, )"
            R"("found_in_most": %d, "seeds_missed": %d, "budget": %d, )"
            R"("within_budget": %s, "stretch": %s, )"
            R"("twin_schedules": %d, "twin_clean": %s})",
            bug.name, strategy, finds.mean, finds.most, finds.missed, budget,
            Truth(found), Truth(bug.stretch), twin.schedules, Truth(twin.ok())),
        absl::StrFormat("%-22s %8.1f %6d at most; budget %5d %s; twin %s",
                        bug.name, finds.mean, finds.most, budget,
                        found         ? "ok"
                        : bug.stretch ? "missed, as it may be"
                                      : "MISSED",
                        twin.ok() ? "clean" : twin.report));
  return (found || bug.stretch) && twin.ok();
}

// How many schedules each strategy needs, as a row of a table.
void ReportStrategies(const Bug& bug) {
  static constexpr uint64_t kMost = 5'000;
  std::string json = absl::StrFormat(R"({"bug": "%s")", bug.name);
  std::string text = absl::StrFormat("| `%s` |", bug.name);
  for (const char* strategy :
       {"portfolio", "random", "alike", "sticky", "pct", "pct3", "uniform",
        "roundrobin", "exhaustive2"}) {
    const Finds finds = Find(bug, strategy, kMost);
    absl::StrAppendFormat(&json, R"(, "%s": %.1f, "%s_missed": %d)", strategy,
                          finds.mean, strategy, finds.missed);
    absl::StrAppend(
        &text, finds.missed > 0 ? " –" : absl::StrFormat(" %.0f", finds.mean),
        " |");
  }
  Print(json + "}", text);
}

bool ReportBugs(std::span<const std::string> names) {
  bool right = true;
  for (const Bug& bug : AllBugs()) {
    if (!IsWanted(bug.name, names)) continue;
    if (absl::GetFlag(FLAGS_strategies)) {
      ReportStrategies(bug);
    } else {
      right = ReportBug(bug) && right;
    }
  }
  return right;
}

// --- Primitives --------------------------------------------------------------

bool ReportPrimitive(const Program& program) {
  const std::string bounded =
      absl::StrCat("exhaustive", absl::GetFlag(FLAGS_bound));
  bool right = true;
  for (const std::string& strategy :
       {bounded, std::string("random"), std::string("pct")}) {
    const bool search = strategy == bounded;
    const auto begin = SteadyClock::now();
    // A search that is not complete at this number was bounded too widely.
    const uint64_t schedules =
        search ? 10'000'000 : absl::GetFlag(FLAGS_schedules);
    const ExploreResult result = FindFailure(
        {.schedules = schedules, .strategy = strategy}, program.body);
    right = right && result.ok() && (result.complete || !search);
    Print(absl::StrFormat(
              R"({"primitive": "%s", "strategy": "%s", "schedules": %d, )"
              R"("distinct": %d, "complete": %s, "clean": %s})",
              program.name, strategy, result.schedules, result.distinct,
              Truth(result.complete), Truth(result.ok())),
          absl::StrFormat("%-24s %-12s %8d schedules%s %5.1f s %s",
                          program.name, strategy, result.schedules,
                          result.complete ? ", all;" : ";     ", Seconds(begin),
                          result.ok() ? "clean" : result.report));
  }
  return right;
}

bool ReportPrimitives(std::span<const std::string> names) {
  bool right = true;
  for (const Program& program : Primitives()) {
    if (IsWanted(program.name, names))
      right = ReportPrimitive(program) && right;
  }
  return right;
}

// --- Speed -------------------------------------------------------------------

void TwoTasks(Sim& io, int points) {
  Shared<int> word{0};
  const auto use = [&] {
    for (int i = 0; i < points; ++i) word.fetch_add(1);
  };
  Together(io, use, use);
}

bool ReportSpeed() {
  const std::string strategy = absl::GetFlag(FLAGS_strategy);
  const auto long_begin = SteadyClock::now();
  const ExploreResult with_many =
      FindFailure({.schedules = 2'000, .strategy = strategy},
                  [](Sim& io) { TwoTasks(io, 2'000); });
  const double points_per_second =
      static_cast<double>(with_many.points) / Seconds(long_begin);

  const auto small = [](Sim& io) { TwoTasks(io, 5); };
  // Until every table of an exploration has its size.
  (void)FindFailure({.schedules = 200'000, .strategy = strategy}, small);
  const uint64_t before = ResidentKilobytes();
  const auto small_begin = SteadyClock::now();
  const ExploreResult with_few =
      FindFailure({.schedules = 1'000'000, .strategy = strategy}, small);
  const double schedules_per_second =
      static_cast<double>(with_few.schedules) / Seconds(small_begin);
  const uint64_t after = ResidentKilobytes();
  Print(
      absl::StrFormat(R"({"strategy": "%s", "points_per_second": %.0f, )"
                      R"("small_schedules_per_second": %.0f, "schedules": %d, )"
                      R"("resident_kb_before": %d, "resident_kb_after": %d})",
                      strategy, points_per_second, schedules_per_second,
                      with_few.schedules, before, after),
      absl::StrFormat("%.2f million points a second; %.0f schedules a second "
                      "of two tasks with five points; %d kB before, %d kB "
                      "after %d schedules",
                      points_per_second / 1e6, schedules_per_second, before,
                      after, with_few.schedules));
  return with_many.ok() && with_few.ok();
}

// --- One program -------------------------------------------------------------

std::vector<Program> AllPrograms() {
  std::vector<Program> programs;
  for (const Bug& bug : AllBugs()) {
    programs.push_back(
        {bug.name, absl::GetFlag(FLAGS_twin) ? bug.twin : bug.bug});
  }
  for (const Program& program : Primitives()) programs.push_back(program);
  programs.insert(programs.end(), {{"fails_by_check", FailsByCheck},
                                   {"fails_by_signal", FailsBySignal},
                                   {"fails_by_fault", FailsByFault},
                                   {"fails_in_select", FailsInSelect}});
  return programs;
}

// Tells a person how far it is, at each power of two.
bool ExploreOne(const Program& program) {
  uint64_t count = 0;
  uint64_t tell_at = 1024;
  const bool faults = absl::GetFlag(FLAGS_faults);
  const auto begin = SteadyClock::now();
  const ExploreResult result =
      FindFailure({.schedules = absl::GetFlag(FLAGS_schedules),
                   .strategy = absl::GetFlag(FLAGS_strategy),
                   .seed = absl::GetFlag(FLAGS_seed),
                   .faults = {.operations = faults, .starts = faults}},
                  [&](Sim& io) {
                    if (++count == tell_at) {
                      tell_at *= 2;
                      std::fprintf(stderr, "%llu schedules, %.0f a second\n",
                                   static_cast<unsigned long long>(count),
                                   static_cast<double>(count) / Seconds(begin));
                    }
                    program.body(io);
                  });
  std::puts(result.report.c_str());
  std::printf("%llu schedules, %llu%s different, %llu points, %.2f s\n",
              static_cast<unsigned long long>(result.schedules),
              static_cast<unsigned long long>(result.distinct),
              result.distinct == ExploreResult::kMostDistinct ? " or more" : "",
              static_cast<unsigned long long>(result.points), Seconds(begin));
  return result.ok();
}

int Main(std::span<const std::string> names) {
  bool right = true;
  if (absl::GetFlag(FLAGS_list)) {
    for (const Program& program : AllPrograms()) std::puts(program.name);
  } else if (absl::GetFlag(FLAGS_bugs)) {
    right = ReportBugs(names);
  } else if (absl::GetFlag(FLAGS_primitives)) {
    right = ReportPrimitives(names);
  } else if (absl::GetFlag(FLAGS_speed)) {
    right = ReportSpeed();
  } else {
    bool any = false;
    for (const Program& program : AllPrograms()) {
      if (names.empty() || !IsWanted(program.name, names)) continue;
      any = true;
      right = ExploreOne(program) && right;
    }
    if (!any) {
      std::fputs("explore: no such program; --list names them\n", stderr);
      return 2;
    }
  }
  return right ? 0 : 1;
}

}  // namespace
}  // namespace weft::bugs

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "explores the programs of tests/bugs; tools/explore --help says more");
  const std::vector<char*> rest = absl::ParseCommandLine(argc, argv);
  return weft::bugs::Main(
      std::vector<std::string>(rest.begin() + 1, rest.end()));
}
