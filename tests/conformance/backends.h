// What the conformance suites run on, and how.
//
//   template <class Config>
//   class MutexTest : public weft::testing::ConformanceTest<Config> {};
//   TYPED_TEST_SUITE(MutexTest, weft::testing::Backends,
//                    weft::testing::BackendNames);
//
//   TYPED_TEST(MutexTest, IsFreeAfterUnlock) {
//     using B = typename TypeParam::Io;
//     weft::testing::RunOn<TypeParam>([](B& io) { ... });
//   }
//
// Every test has a watchdog, and fails if it leaves a descriptor, a thread or
// a signal handler behind. Tasks, stacks, timers and operations are counted by
// the backends themselves: the program ends if one is left when an instance
// does.
#ifndef WEFT_TESTS_CONFORMANCE_BACKENDS_H_
#define WEFT_TESTS_CONFORMANCE_BACKENDS_H_

#include <gtest/gtest.h>
#include <signal.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "weft/backends/evented/evented.h"
#include "weft/backends/sim/sim.h"
#include "weft/backends/threaded/threaded.h"
#include "weft/runtime/io.h"
#include "weft/runtime/options.h"

namespace weft::testing {

// A backend or driver to test. What it says of itself is all that a test may
// tell it apart by:
//
//   Io, options()       the class, and how instances of it are made
//   kName               of the tests
//   kBackend, kDriver   as in Io::Describe
//   kKernel             runs on the kernel: descriptors, real time and threads
//                       of the host program mean something to it
//   kOneWorker          no two tasks run at the same moment
//   kManyTasks          how many blocked tasks it can be expected to have

struct ThreadedConfig {
  using Io = Threaded;
  static constexpr const char* kName = "Threaded";
  static constexpr const char* kBackend = "threaded";
  static constexpr const char* kDriver = "";
  static constexpr bool kKernel = true;
  static constexpr bool kOneWorker = false;
  static constexpr uint32_t kManyTasks = 200;
  static Options options() { return {}; }
};

inline Options EventedOptions(DriverKind driver, uint32_t workers) {
  Options options;
  options.driver = driver;
  options.workers = workers;
  return options;
}

struct EventedUring {
  using Io = Evented;
  static constexpr const char* kBackend = "evented";
  static constexpr const char* kDriver = "uring";
  static constexpr bool kKernel = true;
  static constexpr uint32_t kManyTasks = 10000;
};

struct EventedUring1 : EventedUring {
  static constexpr const char* kName = "EventedUring1";
  static constexpr bool kOneWorker = true;
  static Options options() { return EventedOptions(DriverKind::kUring, 1); }
};

struct EventedUring2 : EventedUring {
  static constexpr const char* kName = "EventedUring2";
  static constexpr bool kOneWorker = false;
  static Options options() { return EventedOptions(DriverKind::kUring, 2); }
};

// Its order of fibers is drawn, in each instance from another seed; the seeds
// are the same in every run of a test.
struct EventedPerturbed : EventedUring {
  static constexpr const char* kName = "EventedPerturbed";
  static constexpr bool kOneWorker = false;
  static Options options() {
    static std::atomic<uint64_t> instances{0};
    Options options = EventedOptions(DriverKind::kUring, 2);
    options.perturb_seed = 1 + instances.fetch_add(1);
    return options;
  }
};

// Every access to a primitive is a scheduling point, and what RunOn can run
// again it runs in many schedules.
struct SimConfig {
  using Io = Sim;
  static constexpr const char* kName = "Sim";
  static constexpr const char* kBackend = "sim";
  static constexpr const char* kDriver = "";
  static constexpr bool kKernel = false;
  static constexpr bool kOneWorker = true;
  static constexpr uint32_t kManyTasks = 1000;
  static Options options() { return {}; }
  // Large transfers have many steps.
  static SimOptions sim_options() { return {.max_steps = 100'000'000}; }
};

template <class... Configs>
class ConfigLists {
  template <class Config>
  using IfKernel =
      std::conditional_t<Config::kKernel, std::tuple<Config>, std::tuple<>>;
  template <class... Chosen>
  static ::testing::Types<Chosen...> ToTypes(std::tuple<Chosen...>);

 public:
  using All = ::testing::Types<Configs...>;
  using Kernel = decltype(ToTypes(std::tuple_cat(IfKernel<Configs>()...)));
};

// The one list of all backends and drivers: a new one is added here.
using Configured =
    ConfigLists<ThreadedConfig, EventedUring1, EventedUring2, SimConfig>;

// The same and EventedPerturbed, for suites in which the order matters most.
using PerturbedToo = ConfigLists<ThreadedConfig, EventedUring1, EventedUring2,
                                 EventedPerturbed, SimConfig>;

// For what is said in terms of tasks, scopes and primitives alone.
using Backends = Configured::All;
// For what needs descriptors, real time, /proc or threads of the host program.
using KernelBackends = Configured::Kernel;

struct BackendNames {
  template <class Config>
  static std::string GetName(int) {
    return Config::kName;
  }
};

// Ends the program with a message if a test does not end.
class Watchdog {
 public:
  // `more` is added to the usual limit.
  Watchdog(std::string what, std::chrono::seconds more)
      : what_(std::move(what)),
        limit_(Limit() + more),
        thread_([this] { Watch(); }) {
    // The descriptors that a sanitizer opens while a thread starts are not to
    // be counted.
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return watching_; });
  }
  ~Watchdog() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }

 private:
  // WEFT_TEST_TIME_LIMIT, in seconds, is for slow ways to run the tests.
  static std::chrono::seconds Limit() {
    const char* limit = std::getenv("WEFT_TEST_TIME_LIMIT");
    return std::chrono::seconds(limit == nullptr ? 30 : std::atoi(limit));
  }

  void Watch() {
    std::unique_lock lock(mutex_);
    watching_ = true;
    changed_.notify_one();
    if (changed_.wait_for(lock, limit_, [this] { return done_; })) return;
    std::fprintf(stderr, "%s hangs: it did not end within %lld s\n",
                 what_.c_str(), static_cast<long long>(limit_.count()));
    std::abort();
  }

  const std::string what_;
  const std::chrono::seconds limit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool watching_ = false;
  bool done_ = false;
  std::thread thread_;
};

// What a test must leave as it found it.
struct ProcessCensus {
  static constexpr int kSignals = 64;

  static ProcessCensus Take() {
    ProcessCensus census = {.descriptors = Entries("/proc/self/fd"),
                            .threads = Entries("/proc/self/task")};
    for (int i = 0; i < kSignals; ++i) {
      struct sigaction action = {};
      sigaction(i + 1, nullptr, &action);
      census.handlers[static_cast<size_t>(i)] = action.sa_handler;
    }
    pthread_sigmask(SIG_BLOCK, nullptr, &census.blocked);
    return census;
  }
  // Before a test. Threads of the test before may still be listed, though they
  // were joined, so the threads are those before the first test of all.
  static ProcessCensus TakeBefore() {
    ProcessCensus census = Take();
    static const size_t threads = census.threads;
    census.threads = threads;
    return census;
  }
  static size_t Entries(const char* folder) {
    size_t count = 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator(folder)) {
      ++count;
    }
    return count;
  }

  // Fails the test where `*this`, taken later, differs from `before`.
  void ExpectAsIn(const ProcessCensus& before) const {
    EXPECT_EQ(descriptors, before.descriptors) << "descriptors leaked";
    EXPECT_EQ(threads, before.threads) << "threads leaked";
    for (size_t i = 0; i < kSignals; ++i) {
      EXPECT_EQ(handlers[i], before.handlers[i])
          << "the handler of signal " << i + 1 << " was changed";
      EXPECT_EQ(sigismember(&blocked, static_cast<int>(i) + 1),
                sigismember(&before.blocked, static_cast<int>(i) + 1))
          << "signal " << i + 1 << " was blocked or let through";
    }
  }

  size_t descriptors;
  size_t threads;
  // What each signal does, and whether the calling thread blocks it.
  std::array<void (*)(int), kSignals> handlers = {};
  sigset_t blocked = {};
};

template <class Config>
class ConformanceTest : public ::testing::Test {
 protected:
  // A death test runs its statement in a new process: a fork of a process
  // with several threads could not start any.
  //
  // `more` is how much longer than others the test may take.
  explicit ConformanceTest(std::chrono::seconds more = {})
      : watchdog_(Name(), more) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
  }

  void TearDown() override {
    // A thread that was joined stays in the list for a moment.
    ProcessCensus after = ProcessCensus::Take();
    while (after.threads > before_.threads) {
      std::this_thread::yield();
      after = ProcessCensus::Take();
    }
    after.ExpectAsIn(before_);
  }

 private:
  static std::string Name() {
    const ::testing::TestInfo& test =
        *::testing::UnitTest::GetInstance()->current_test_info();
    return std::string(test.test_suite_name()) + "." + test.name();
  }

  // Reports a thread that never ends, too.
  Watchdog watchdog_;
  const ProcessCensus before_ = ProcessCensus::TakeBefore();
};

template <class Config>
std::unique_ptr<typename Config::Io> MakeIo() {
  auto io = [] {
    if constexpr (requires { Config::sim_options(); }) {
      return Config::Io::Create(Config::options(), Config::sim_options());
    } else {
      return Config::Io::Create(Config::options());
    }
  }();
  if (!io.ok()) {
    std::cerr << Config::kName << ": " << io.status() << "\n";
    std::abort();
  }
  return *std::move(io);
}

// Runs `fn(io)` as a task of `io` from a plain thread of its own.
template <class B, class Fn>
void RunOnInstance(B& io, Fn fn) {
  std::thread([&] {
    const absl::Status status = io.Run(fn);
    EXPECT_TRUE(status.ok()) << status;
  }).join();
}

// The same on a new instance of the backend. Where that explores schedules,
// and `fn` captures nothing, so that it begins anew whenever it is called, in
// up to 200 of them or for 0.2 s.
template <class Config, class Fn>
void RunOn(Fn fn) {
  const std::unique_ptr<typename Config::Io> io = MakeIo<Config>();
  RunOnInstance(*io, fn);
  if constexpr (!Config::kKernel && std::is_empty_v<Fn>) {
    const auto end =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
    for (int schedule = 1; schedule < 200 && !::testing::Test::HasFailure() &&
                           !::testing::Test::IsSkipped() &&
                           std::chrono::steady_clock::now() < end;
         ++schedule) {
      RunOnInstance(*io, fn);
    }
  }
}

// Lets other tasks run until `condition()` is true.
template <class Condition>
void YieldUntil(Io& io, Condition condition) {
  while (!condition()) io.Yield();
}

// The random numbers of a stress test, and how to get them again.
class Seed {
 public:
  Seed() {
    const char* given = std::getenv("WEFT_TEST_SEED");
    value_ = given == nullptr ? std::random_device{}()
                              : static_cast<uint32_t>(std::atoll(given));
    std::cout << "seed: run again with WEFT_TEST_SEED=" << value_ << "\n";
  }

  // Different for each task of the test.
  std::mt19937 GeneratorFor(uint32_t task) const {
    std::seed_seq sequence{value_, task};
    return std::mt19937(sequence);
  }

 private:
  uint32_t value_;
};

}  // namespace weft::testing

#endif  // WEFT_TESTS_CONFORMANCE_BACKENDS_H_
