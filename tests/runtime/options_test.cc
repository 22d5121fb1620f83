#include "weft/runtime/options.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "weft/backends/evented/evented.h"
#include "weft/backends/threaded/threaded.h"

namespace weft {
namespace {

using namespace std::chrono_literals;

// Gives each test an environment without variables of weft.
class OptionsTest : public ::testing::Test {
 protected:
  void SetUp() override { Clear(); }
  void TearDown() override { Clear(); }

 private:
  static void Clear() {
    std::vector<std::string> names;
    for (char** entry = environ; *entry != nullptr; ++entry) {
      const std::string variable(*entry);
      if (variable.starts_with("WEFT_")) {
        names.push_back(variable.substr(0, variable.find('=')));
      }
    }
    for (const std::string& name : names) unsetenv(name.c_str());
  }
};

absl::Status CreateEvented(const Options& options) {
  return Evented::Create(options).status();
}

absl::Status CreateThreaded(const Options& options) {
  return Threaded::Create(options).status();
}

void ExpectRefused(const absl::Status& status, std::string_view message) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(status.message()), message);
}

TEST_F(OptionsTest, DefaultsSetNothing) {
  const Options options;
  EXPECT_EQ(options.backend, BackendKind::kEvented);
  EXPECT_FALSE(options.driver.has_value());
  EXPECT_FALSE(options.workers.has_value());
  EXPECT_FALSE(options.stack_size.has_value());
  EXPECT_FALSE(options.max_tasks.has_value());
  EXPECT_FALSE(options.ring_entries.has_value());
  EXPECT_FALSE(options.idle_thread_timeout.has_value());
  EXPECT_FALSE(options.report_overflow.has_value());
  EXPECT_FALSE(options.measure_stacks.has_value());
  EXPECT_FALSE(options.perturb_seed.has_value());
  EXPECT_FALSE(options.watchdog.has_value());
  EXPECT_FALSE(options.dump_signal.has_value());
  EXPECT_TRUE(options.Validate().ok());
}

TEST_F(OptionsTest, EveryOptionIsSetFromText) {
  Options options;
  EXPECT_TRUE(options.Set("backend", "threaded").ok());
  EXPECT_EQ(options.backend, BackendKind::kThreaded);
  EXPECT_TRUE(options.Set("backend", "evented").ok());
  EXPECT_EQ(options.backend, BackendKind::kEvented);
  EXPECT_TRUE(options.Set("driver", "epoll").ok());
  EXPECT_EQ(options.driver, DriverKind::kEpoll);
  EXPECT_TRUE(options.Set("driver", "uring").ok());
  EXPECT_EQ(options.driver, DriverKind::kUring);
  EXPECT_TRUE(options.Set("driver", "auto").ok());
  EXPECT_EQ(options.driver, DriverKind::kAuto);
  EXPECT_TRUE(options.Set("workers", "3").ok());
  EXPECT_EQ(options.workers, 3u);
  EXPECT_TRUE(options.Set("stack_size", "131072").ok());
  EXPECT_EQ(options.stack_size, 131072u);
  EXPECT_TRUE(options.Set("max_tasks", "7").ok());
  EXPECT_EQ(options.max_tasks, 7u);
  EXPECT_TRUE(options.Set("ring_entries", "64").ok());
  EXPECT_EQ(options.ring_entries, 64u);
  EXPECT_TRUE(options.Set("idle_thread_timeout", "250ms").ok());
  EXPECT_EQ(options.idle_thread_timeout, Duration(250ms));
  EXPECT_TRUE(options.Set("report_overflow", "on").ok());
  EXPECT_EQ(options.report_overflow, true);
  EXPECT_TRUE(options.Set("report_overflow", "off").ok());
  EXPECT_EQ(options.report_overflow, false);
  EXPECT_TRUE(options.Set("measure_stacks", "on").ok());
  EXPECT_EQ(options.measure_stacks, true);
  EXPECT_TRUE(options.Set("perturb_seed", "18446744073709551615").ok());
  EXPECT_EQ(options.perturb_seed, UINT64_MAX);
  EXPECT_TRUE(options.Set("watchdog", "0").ok());
  EXPECT_EQ(options.watchdog, Duration(0));
  EXPECT_TRUE(options.Set("watchdog", "2s").ok());
  EXPECT_EQ(options.watchdog, Duration(2s));
  for (const char* name : {"USR1", "SIGUSR1", "10"}) {
    options.dump_signal.reset();
    EXPECT_TRUE(options.Set("dump_signal", name).ok());
    EXPECT_EQ(options.dump_signal, SIGUSR1);
  }
  EXPECT_TRUE(options.Validate().ok());
}

TEST_F(OptionsTest, ImpossibleTextIsRefusedAndChangesNothing) {
  Options options;
  ExpectRefused(options.Set("backend", "forked"),
                "option backend: 'forked' is not possible; give threaded or "
                "evented");
  ExpectRefused(options.Set("driver", "kqueue"),
                "option driver: 'kqueue' is not possible; give auto or uring "
                "or epoll");
  ExpectRefused(options.Set("report_overflow", "yes"),
                "option report_overflow: 'yes' is not possible; give on or "
                "off");
  for (const char* number : {"", "two", "-1", "1.5", "4294967296", "1k"}) {
    ExpectRefused(options.Set("workers", number),
                  absl::StrCat("option workers: '", number,
                               "' is not possible; give a whole number"));
  }
  for (const char* duration : {"", "5", "soon", "-1s", "inf", "9000h"}) {
    ExpectRefused(
        options.Set("idle_thread_timeout", duration),
        absl::StrCat("option idle_thread_timeout: '", duration,
                     "' is not possible; give a duration such as 500ms or "
                     "1m"));
  }
  EXPECT_EQ(options.backend, BackendKind::kEvented);
  EXPECT_FALSE(options.driver.has_value());
  EXPECT_FALSE(options.workers.has_value());
  EXPECT_FALSE(options.idle_thread_timeout.has_value());
  EXPECT_TRUE(options.Validate().ok());
}

TEST_F(OptionsTest, WatchdogAndDumpSignalHaveTheirRanges) {
  Options options;
  constexpr char kSignals[] = "a signal that may have a handler, such as USR1";
  ExpectRefused(options.Set("dump_signal", "USR9"),
                std::string("option dump_signal: 'USR9' is not possible; "
                            "give ") +
                    kSignals);
  options.dump_signal = SIGKILL;
  ExpectRefused(
      options.Validate(),
      std::string("option dump_signal: '9' is not possible; give ") + kSignals);
  options.dump_signal.reset();
  options.watchdog = 9ms;
  ExpectRefused(options.Validate(),
                "option watchdog: '9ms' is not possible; give 0 or a duration "
                "from 10ms");
}

TEST_F(OptionsTest, UnknownNameIsRefusedAndTheKnownOnesListed) {
  Options options;
  ExpectRefused(options.Set("wrokers", "2"),
                "there is no option 'wrokers'; there are backend, driver, "
                "workers, stack_size, max_tasks, ring_entries, "
                "idle_thread_timeout, report_overflow, "
                "measure_stacks, perturb_seed, watchdog, dump_signal");
}

TEST_F(OptionsTest, EnvironmentOverridesDefaults) {
  setenv("WEFT_BACKEND", "threaded", 1);
  setenv("WEFT_DRIVER", "uring", 1);
  setenv("WEFT_WORKERS", "5", 1);
  setenv("WEFT_STACK_SIZE", "65536", 1);
  setenv("WEFT_MAX_TASKS", "11", 1);
  setenv("WEFT_RING_ENTRIES", "16", 1);
  setenv("WEFT_IDLE_THREAD_TIMEOUT", "1m", 1);
  setenv("WEFT_PERTURB_SEED", "13", 1);
  const Options options = Options::FromEnvironment();
  EXPECT_TRUE(options.error.ok()) << options.error;
  EXPECT_EQ(options.backend, BackendKind::kThreaded);
  EXPECT_EQ(options.driver, DriverKind::kUring);
  EXPECT_EQ(options.workers, 5u);
  EXPECT_EQ(options.stack_size, 65536u);
  EXPECT_EQ(options.max_tasks, 11u);
  EXPECT_EQ(options.ring_entries, 16u);
  EXPECT_EQ(options.idle_thread_timeout, Duration(1min));
  EXPECT_EQ(options.perturb_seed, 13u);
}

TEST_F(OptionsTest, EmptyEnvironmentIsTheDefault) {
  const Options options = Options::FromEnvironment();
  EXPECT_TRUE(options.Validate().ok());
  EXPECT_FALSE(options.workers.has_value());
}

TEST_F(OptionsTest, VariablesOfOthersAreIgnored) {
  setenv("WEFTY", "1", 1);
  setenv("MY_WEFT_WORKERS", "x", 1);
  setenv("WEFT_TEST_SEED", "1", 1);
  setenv("WEFT_SIM_SEED", "1", 1);
  setenv("WEFT_REPLAY", "token", 1);
  EXPECT_TRUE(Options::FromEnvironment().error.ok());
  unsetenv("WEFTY");
  unsetenv("MY_WEFT_WORKERS");
}

TEST_F(OptionsTest, UnknownVariableIsKeptAsAnError) {
  setenv("WEFT_WROKERS", "2", 1);
  const Options options = Options::FromEnvironment();
  const std::string message =
      "environment: WEFT_WROKERS: there is no option 'wrokers'; there are "
      "backend, driver, workers, stack_size, max_tasks, ring_entries, "
      "idle_thread_timeout, report_overflow, "
      "measure_stacks, perturb_seed, watchdog, dump_signal";
  ExpectRefused(options.error, message);
  ExpectRefused(options.Validate(), message);
  ExpectRefused(CreateThreaded(options), message);
  ExpectRefused(CreateEvented(options), message);
}

TEST_F(OptionsTest, ImpossibleVariableIsKeptAsAnError) {
  setenv("WEFT_WORKERS", "many", 1);
  const Options options = Options::FromEnvironment();
  ExpectRefused(options.error,
                "environment: WEFT_WORKERS: option workers: 'many' is not "
                "possible; give a whole number");
  EXPECT_FALSE(options.workers.has_value());
}

// Sets one field to a value and looks for the refusal of both backends.
template <class T>
void ExpectOutOfRange(std::optional<T> Options::*field, T value,
                      std::string_view message) {
  Options options;
  options.*field = value;
  ExpectRefused(options.Validate(), message);
  ExpectRefused(CreateThreaded(options), message);
  ExpectRefused(CreateEvented(options), message);
}

TEST_F(OptionsTest, ValuesOutOfRangeAreRefusedByEveryBackend) {
  ExpectOutOfRange<uint32_t>(&Options::workers, 0,
                             "option workers: '0' is not possible; give a "
                             "number from 1 to 256");
  ExpectOutOfRange<uint32_t>(&Options::workers, 257,
                             "option workers: '257' is not possible; give a "
                             "number from 1 to 256");
  ExpectOutOfRange<size_t>(&Options::stack_size, 65535,
                           "option stack_size: '65535' is not possible; give "
                           "a number from 65536 to 1073741824");
  ExpectOutOfRange<size_t>(&Options::stack_size, (size_t{1} << 30) + 1,
                           "option stack_size: '1073741825' is not possible; "
                           "give a number from 65536 to 1073741824");
  ExpectOutOfRange<uint32_t>(&Options::max_tasks, 0,
                             "option max_tasks: '0' is not possible; give a "
                             "number from 1 to 4294967295");
  ExpectOutOfRange<uint32_t>(&Options::ring_entries, 4,
                             "option ring_entries: '4' is not possible; give "
                             "a number from 8 to 32768");
  ExpectOutOfRange<uint32_t>(&Options::ring_entries, 65536,
                             "option ring_entries: '65536' is not possible; "
                             "give a number from 8 to 32768");
  ExpectOutOfRange<uint32_t>(&Options::ring_entries, 100,
                             "option ring_entries: '100' is not possible; "
                             "give a power of two");
}

TEST_F(OptionsTest, DurationsOutOfRangeAreRefusedByEveryBackend) {
  constexpr char kPossible[] =
      " is not possible; give a duration from 0 to 8760h";
  ExpectOutOfRange<Duration>(
      &Options::idle_thread_timeout, Duration(-1),
      absl::StrCat("option idle_thread_timeout: '-1ns'", kPossible));
  ExpectOutOfRange<Duration>(
      &Options::idle_thread_timeout, 8761h,
      absl::StrCat("option idle_thread_timeout: '8761h'", kPossible));
}

TEST_F(OptionsTest, ThreadedRefusesWhatDoesNotApplyToIt) {
  Options options;
  options.driver = DriverKind::kAuto;
  ExpectRefused(CreateThreaded(options),
                "option driver: does not apply to the threaded backend");
  options = {};
  options.workers = 1;
  ExpectRefused(CreateThreaded(options),
                "option workers: does not apply to the threaded backend");
  options = {};
  options.ring_entries = 64;
  ExpectRefused(CreateThreaded(options),
                "option ring_entries: does not apply to the threaded backend");
  options = {};
  options.perturb_seed = 1;
  ExpectRefused(CreateThreaded(options),
                "option perturb_seed: does not apply to the threaded backend");
}

TEST_F(OptionsTest, ThreadedTakesWhatApplies) {
  Options options;
  options.stack_size = size_t{128} << 10;
  options.max_tasks = 3;
  options.idle_thread_timeout = 10ms;
  EXPECT_TRUE(CreateThreaded(options).ok());
}

TEST_F(OptionsTest, EventedRefusesWhatDoesNotApplyToIt) {
  Options options;
  options.idle_thread_timeout = 1s;
  ExpectRefused(CreateEvented(options),
                "option idle_thread_timeout: does not apply to the evented "
                "backend");
}

TEST_F(OptionsTest, EventedTakesWhatApplies) {
  Options options;
  options.driver = DriverKind::kUring;
  options.workers = 1;
  options.stack_size = size_t{64} << 10;
  options.max_tasks = 3;
  options.ring_entries = 8;
  options.perturb_seed = 1;
  EXPECT_TRUE(CreateEvented(options).ok());
  options.driver = DriverKind::kAuto;
  EXPECT_TRUE(CreateEvented(options).ok());
}

}  // namespace
}  // namespace weft
