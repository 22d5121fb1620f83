#include "weft/backends/sim/explore.h"

#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "weft/backends/sim/internal/blocked_watch.h"
#include "weft/backends/sim/internal/crash.h"
#include "weft/backends/sim/internal/environment.h"
#include "weft/backends/sim/internal/fault_injector.h"
#include "weft/backends/sim/internal/replay.h"
#include "weft/backends/sim/internal/scheduler.h"
#include "weft/backends/sim/internal/shrink.h"
#include "weft/backends/sim/internal/token.h"
#include "weft/backends/sim/strategy.h"
#include "weft/runtime/internal/check.h"
#include "weft/runtime/internal/current.h"

namespace weft::sim {
namespace {

// What shrinking may cost. Counted and not timed, so that the same failure is
// always shrunk to the same schedule. A try that fails may leave stacks and
// memory behind.
constexpr uint32_t kMostFailedAttempts = 200;
constexpr uint64_t kMostShrinkSteps = 5'000'000;

// Soon, so that a short exploration has one, too.
constexpr uint64_t kFirstRepeated = 8;

class BodyTask final : public Task {
 public:
  BodyTask(Sim& sim, const std::function<void(Sim&)>& body)
      : Task(sim, nullptr, {.name = "body", .where = {}}),
        sim_(sim),
        body_(body) {}

 private:
  void Run() override {
    try {
      body_(sim_);
    } catch (const std::exception& e) {
      Failed(e.what());
    } catch (...) {
      Failed("of a type that is no std::exception");
    }
  }
  void AnnounceEnd() override {}

  void Failed(const char* what) {
    sim_.scheduler().Fail(FailureKind::kException,
                          absl::StrCat("an exception left the body: ", what));
  }

  Sim& sim_;
  const std::function<void(Sim&)>& body_;
};

class Exploration {
 public:
  Exploration(const ExploreOptions& options, Sim& sim,
              const std::function<void(Sim&)>& body)
      : options_(options), sim_(sim), body_(body) {}

  ExploreResult Explore(Strategy& strategy);
  // With faults, one by one.
  ExploreResult ExploreFaults();
  ExploreResult ReplayToken(const Token& token);

 private:
  Scheduler& scheduler() { return sim_.scheduler(); }

  // One schedule; true if it fails.
  bool Run(Strategy& strategy, uint64_t seed, Trace* trace);
  void Count();
  bool IsRepeated(uint64_t schedule) const {
    const uint64_t every = options_.repeat_every;
    return every != 0 && (schedule == kFirstRepeated || schedule % every == 0);
  }
  // Runs the schedule that has just passed once more; false, and that is
  // reported, if it goes another way.
  bool RunsTheSameAgain(uint64_t seed);
  // Shrinks the schedule that has just failed, and reports it.
  void ReportFailure();
  // Takes away what it can of both.
  void ShrinkBoth(std::vector<Fault>& faults, std::vector<Switch>& switches,
                  FailureKind kind, uint64_t seed);
  void GiveFaults(const std::vector<Fault>& faults) {
    begin_faults_ = [this, faults](uint64_t) { injector_.BeginGiven(faults); };
  }
  void FillResult(const Failure& failure, std::string_view strategy,
                  std::string_view note, const Trace* trace);
  std::string Summary() const;

  const ExploreOptions& options_;
  Sim& sim_;
  const std::function<void(Sim&)>& body_;
  FaultInjector injector_;
  bool faulty_ = false;  // else nothing asks it
  // Begins the injector anew for another run of the same schedule.
  std::function<void(uint64_t seed)> begin_faults_ = [this](uint64_t) {
    injector_.BeginWithout();
  };
  absl::flat_hash_set<uint64_t> seen_;
  ExploreResult result_;
};

bool Exploration::Run(Strategy& strategy, uint64_t seed, Trace* trace) {
  begin_faults_(seed);
  const internal::TaskPointer<BodyTask> task(new BodyTask(sim_, body_));
  const absl::Status status =
      scheduler().Run(*task, {.strategy = strategy,
                              .seed = seed,
                              .trace = trace,
                              .faults = faulty_ ? &injector_ : nullptr,
                              .switch_faults = options_.switch_faults,
                              .survive_checks = true});
  if (!status.ok()) {
    scheduler().Fail(FailureKind::kOptions, std::string(status.message()));
  }
  return scheduler().failure().has_value();
}

void Exploration::Count() {
  ++result_.schedules;
  result_.points += scheduler().steps();
  if (seen_.size() < ExploreResult::kMostDistinct) {
    seen_.insert(scheduler().history().Hash());
    result_.distinct = seen_.size();
  }
}

ExploreResult Exploration::ExploreFaults() {
  const bool limited = options_.time > Duration(0);
  const MonotonicTime end =
      limited ? After(internal::KernelMonotonicNow(), options_.time) : kNever;
  const auto enough = [&] {
    return result_.schedules >= options_.schedules ||
           (limited && internal::KernelMonotonicNow() >= end);
  };
  for (uint64_t round = 0; result_.schedules == 0 || !enough(); ++round) {
    const uint64_t seed = internal::DeriveSeed(options_.seed, round);
    // The same schedule, up to the fault, each time: so a new strategy that
    // has learned nothing. First one without switches, which is the easiest
    // to read.
    const auto run = [&] {
      std::unique_ptr<Strategy> strategy;
      if (round == 0) {
        strategy = std::make_unique<Guided>(std::vector<Switch>());
      } else {
        strategy = *MakeStrategy(
            options_.strategy == "portfolio" ? "random" : options_.strategy);
      }
      strategy->Begin(seed);
      const bool failed = Run(*strategy, seed, nullptr);
      Count();
      if (failed) ReportFailure();
      return failed;
    };
    begin_faults_ = [this](uint64_t) { injector_.BeginCount(); };
    if (run()) return std::move(result_);
    const std::vector<Fault> faults = injector_.Places(options_.faults);
    size_t tried = 0;
    for (; tried < faults.size() && !enough(); ++tried) {
      GiveFaults({faults[tried]});
      if (run()) return std::move(result_);
    }
    result_.faults += tried;
    if (tried == faults.size()) ++result_.fault_rounds;
  }
  result_.report = absl::StrCat(
      "weft: sim: no failure in ", Summary(), "; ", result_.faults,
      " faults, every one there is in ", result_.fault_rounds, " schedules");
  return std::move(result_);
}

ExploreResult Exploration::Explore(Strategy& strategy) {
  faulty_ = options_.faults.any();
  if (faulty_ && options_.faults.probability == 0) {
    return ExploreFaults();
  }
  if (faulty_) {
    begin_faults_ = [this](uint64_t seed) {
      injector_.BeginRandom(options_.faults, seed);
    };
  }
  const bool limited = options_.time > Duration(0);
  const MonotonicTime end =
      limited ? After(internal::KernelMonotonicNow(), options_.time) : kNever;
  while (result_.schedules < options_.schedules &&
         (result_.schedules == 0 || !limited ||
          internal::KernelMonotonicNow() < end)) {
    const uint64_t seed = internal::DeriveSeed(
        options_.seed, strategy.repeats_random() ? 0 : result_.schedules);
    if (!strategy.Begin(seed)) {
      result_.complete = strategy.complete();
      break;
    }
    const bool failed = Run(strategy, seed, nullptr);
    Count();
    if (failed) {
      ReportFailure();
      return std::move(result_);
    }
    strategy.End({.tasks = scheduler().tasks(),
                  .decisions = scheduler().history().decisions(),
                  .turned_fair = scheduler().turned_fair()});
    if (IsRepeated(result_.schedules) && !RunsTheSameAgain(seed)) {
      return std::move(result_);
    }
  }
  result_.report = absl::StrCat("weft: sim: no failure in ", Summary());
  return std::move(result_);
}

bool Exploration::RunsTheSameAgain(uint64_t seed) {
  const History history = scheduler().history();
  Replay replay(history);
  Trace trace;
  replay.Begin(seed);
  const bool failed = Run(replay, seed, &trace);
  std::string difference = replay.CompareWhole(scheduler().history());
  if (!failed && difference.empty()) return true;
  if (difference.empty()) difference = scheduler().failure()->text;
  FillResult({.kind = FailureKind::kDivergence,
              .text = absl::StrCat("a schedule that had passed was run once "
                                   "more, and went another way\n",
                                   difference),
              .tasks = failed ? scheduler().failure()->tasks : "",
              .step = scheduler().steps()},
             options_.strategy, "", &trace);
  return false;
}

void Exploration::ReportFailure() {
  const Failure first = *scheduler().failure();
  const uint64_t seed = scheduler().seed();
  const History history = scheduler().history();
  // What was drawn is given from here on.
  std::vector<Fault> faults = injector_.made();
  if (faulty_) GiveFaults(faults);
  // Once more, to see how it went and whether it is the same again.
  Replay replay(history);
  Trace trace;
  replay.Begin(seed);
  Run(replay, seed, &trace);
  const std::string difference = replay.CompareWhole(scheduler().history());
  const std::optional<Failure> again = scheduler().failure();
  if (!difference.empty() || !again.has_value() || again->kind != first.kind) {
    result_.failure = first;
    result_.failure->text = absl::StrCat(
        first.text, "\nThis could not be repeated at once: ",
        difference.empty() ? "the same schedule did not fail" : difference);
    result_.report = absl::StrCat(
        "weft: sim: ", Name(first.kind), " in schedule ", result_.schedules,
        ", at step ", first.step, "\n", result_.failure->text);
    return;
  }
  std::string note;
  std::vector<Switch> switches = replay.switches();
  if (options_.shrink && !(switches.empty() && faults.empty())) {
    const auto count = [&] {
      return absl::StrCat(
          faulty_ ? absl::StrCat(faults.size(), " faults, ") : "",
          switches.size(), " switches and ", scheduler().steps(), " steps");
    };
    note = absl::StrCat("; shrunk from ", count());
    ShrinkBoth(faults, switches, first.kind, seed);
    Guided guided(switches);
    Run(guided, seed, &trace);
    absl::StrAppend(&note, " to ", count());
  }
  const Failure last = *scheduler().failure();
  FillResult(last, options_.strategy, note, &trace);
}

void Exploration::ShrinkBoth(std::vector<Fault>& faults,
                             std::vector<Switch>& switches, FailureKind kind,
                             uint64_t seed) {
  uint32_t failed = 0;
  uint64_t steps = 0;
  const auto attempt = [&](const std::vector<Switch>& with) {
    if (failed == kMostFailedAttempts || steps > kMostShrinkSteps) {
      return Attempt::kStop;
    }
    Guided guided(with);
    const bool fails = Run(guided, seed, nullptr);
    steps += scheduler().steps();
    if (!fails) return Attempt::kPasses;
    ++failed;
    return scheduler().failure()->kind == kind ? Attempt::kFails
                                               : Attempt::kPasses;
  };
  faults = Shrink(std::move(faults), [&](const std::vector<Fault>& fewer) {
    if (faulty_) GiveFaults(fewer);
    return attempt(switches);
  });
  if (faulty_) GiveFaults(faults);
  switches = Shrink(std::move(switches), attempt);
}

ExploreResult Exploration::ReplayToken(const Token& token) {
  if (!token.faults.empty()) {
    faulty_ = true;
    begin_faults_ = [this, &token](uint64_t seed) {
      (void)injector_.BeginFromToken(token.faults, seed);
    };
  }
  Replay replay(token.history);
  Trace trace;
  replay.Begin(token.seed);
  const bool failed = Run(replay, token.seed, &trace);
  Count();
  const std::string difference = replay.CompareWhole(scheduler().history());
  const bool same =
      failed && Name(scheduler().failure()->kind) == token.failure;
  if (same && difference.empty()) {
    FillResult(*scheduler().failure(), token.strategy, " (replayed)", &trace);
    return std::move(result_);
  }
  std::string text = difference;
  if (text.empty()) {
    text =
        absl::StrCat("the schedule ran as it was recorded, but there was no ",
                     token.failure);
  }
  if (failed && scheduler().failure()->kind != FailureKind::kDivergence) {
    absl::StrAppend(
        &text, "\nThis time it failed so: ", Name(scheduler().failure()->kind),
        ": ", scheduler().failure()->text);
  }
  const Failure divergence{.kind = FailureKind::kDivergence,
                           .text = text,
                           .tasks = failed ? scheduler().failure()->tasks : "",
                           .step = scheduler().steps()};
  FillResult(divergence, token.strategy, " (replayed)", &trace);
  // Another token would not be that of the failure that was looked for.
  result_.token = options_.replay;
  return std::move(result_);
}

void Exploration::FillResult(const Failure& failure, std::string_view strategy,
                             std::string_view note, const Trace* trace) {
  result_.failure = failure;
  const bool diverged = failure.kind == FailureKind::kDivergence;
  if (!diverged) {
    result_.token = Token{.strategy = std::string(strategy),
                          .seed = scheduler().seed(),
                          .unfair_steps = options_.unfair_steps,
                          .max_steps = options_.max_steps,
                          .switch_faults = options_.switch_faults,
                          .failure = Name(failure.kind),
                          .history = scheduler().history(),
                          .faults = injector_.token()}
                        .ToString();
  }
  result_.report = absl::StrCat(
      "weft: sim: ", Name(failure.kind), " in schedule ", result_.schedules,
      ", at step ", failure.step, absl::string_view(note.data(), note.size()),
      "\n", failure.text);
  if (!injector_.done().empty()) {
    absl::StrAppend(&result_.report, "\n", injector_.done());
  }
  if (!failure.tasks.empty()) {
    absl::StrAppend(&result_.report, "\ntasks:\n", failure.tasks);
  }
  if (trace != nullptr) {
    absl::StrAppend(&result_.report, "\nlast steps:\n", trace->Table());
  }
  if (!diverged) {
    absl::StrAppend(&result_.report, "\nto run this schedule again:\n",
                    "WEFT_REPLAY=", result_.token);
  }
}

std::string Exploration::Summary() const {
  return absl::StrCat(
      result_.schedules, " schedules, ", result_.distinct,
      result_.distinct == ExploreResult::kMostDistinct ? " or more" : "",
      " of them different, ", result_.points, " points",
      result_.complete ? "; these are all" : "");
}

ExploreResult Refused(std::string why) {
  ExploreResult result;
  result.failure =
      Failure{.kind = FailureKind::kOptions, .text = std::move(why)};
  result.report = absl::StrCat("weft: sim: ", result.failure->text);
  return result;
}

}  // namespace

ExploreResult FindFailure(const ExploreOptions& given,
                          const std::function<void(Sim&)>& body) {
  if (internal::current.worker_of != nullptr) {
    internal::Misuse(
        "an exploration was begun in a task of Sim or on a worker of a "
        "backend, which it would block; begin it on a plain thread");
  }
  ExploreOptions options = given;
  if (absl::Status status = ApplyEnvironment(options); !status.ok()) {
    return Refused(std::string(status.message()));
  }
  Token token;
  if (!options.replay.empty()) {
    absl::StatusOr<Token> parsed = Token::Parse(options.replay);
    if (!parsed.ok()) {
      return Refused(absl::StrCat("the replay token cannot be read: ",
                                  parsed.status().message()));
    }
    token = *std::move(parsed);
    if (FaultInjector probe; !token.faults.empty() &&
                             !probe.BeginFromToken(token.faults, token.seed)) {
      return Refused(
          "the replay token cannot be read: its faults make no "
          "sense");
    }
    options.unfair_steps = token.unfair_steps;
    options.max_steps = token.max_steps;
    options.switch_faults = token.switch_faults;
  }
  absl::StatusOr<std::unique_ptr<Strategy>> strategy =
      MakeStrategy(options.strategy);
  if (!strategy.ok()) return Refused(std::string(strategy.status().message()));
  Options sim_options;
  sim_options.stack_size = options.stack_size;
  sim_options.max_tasks = options.max_tasks;
  absl::StatusOr<std::unique_ptr<Sim>> sim =
      Sim::Create(sim_options, {.seed = options.seed,
                                .unfair_steps = options.unfair_steps,
                                .max_steps = options.max_steps});
  if (!sim.ok()) return Refused(std::string(sim.status().message()));
  const CrashReporter crash_reporter((*sim)->scheduler(), options.strategy);
  const BlockedWatch blocked_watch(options.blocked_limit);
  Exploration exploration(options, **sim, body);
  return options.replay.empty() ? exploration.Explore(**strategy)
                                : exploration.ReplayToken(token);
}

}  // namespace weft::sim
