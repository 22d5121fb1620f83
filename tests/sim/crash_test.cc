// A crash by a signal says how to run its schedule again, and then ends the
// program as it would have done.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <ostream>
#include <string>
#include <thread>

#include "weft/backends/sim/explore.h"
#include "weft/backends/sim/internal/blocked_watch.h"
#include "weft/runtime/future.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/tests/sim/abandoned.h"

namespace weft::sim {
namespace {

struct Ended {
  int signal = 0;  // that ended the process; 0: none did
  std::string output;

  // Of the line that tells how to run the schedule again; empty if there is
  // none.
  std::string token() const {
    constexpr char kBegin[] = "WEFT_REPLAY=";
    const size_t begin = output.find(kBegin);
    if (begin == std::string::npos) return {};
    const size_t first = begin + sizeof(kBegin) - 1;
    return output.substr(first, output.find('\n', first) - first);
  }
};

// Calls `fn` in a child process.
Ended RunInChild(const std::function<void()>& fn) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    // What a sanitizer does about a crash is not what is tested.
    for (const int number : {SIGSEGV, SIGABRT, SIGFPE}) {
      signal(number, SIG_DFL);
    }
    fn();
    _exit(0);
  }
  close(ends[1]);
  Ended ended;
  char buffer[4096];
  for (ssize_t size = 0; (size = read(ends[0], buffer, sizeof(buffer))) > 0;) {
    ended.output.append(buffer, static_cast<size_t>(size));
  }
  close(ends[0]);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  if (WIFSIGNALED(status)) ended.signal = WTERMSIG(status);
  return ended;
}

// Crashes in some schedules: if the one task sees the other half-way.
void CrashHalfway(Sim& io, const std::function<void()>& crash) {
  internal::ExploredAtomic<int> state{0};
  auto writer = Async(io, {.name = "writer"}, [&] {
    state.store(1);
    state.store(2);
  });
  auto reader = Async(io, {.name = "reader"}, [&] {
    if (state.load() == 1) crash();
  });
  writer.Await(io);
  reader.Await(io);
}

void WriteToNowhere() {
  volatile int* const nowhere = nullptr;
  *nowhere = 1;
}

[[gnu::noinline]] int Recurse(volatile int* above) {
  volatile int here[64] = {*above};
  return here[0] == 0 ? 0 : Recurse(here) + here[0];
}

void OverflowTheStack() {
  volatile int start = 1;
  (void)Recurse(&start);
}

struct Crash {
  const char* name;
  int signal;
  void (*run)();
};
void PrintTo(const Crash& crash, std::ostream* out) { *out << crash.name; }

class CrashTest : public testing::TestWithParam<Crash> {};
INSTANTIATE_TEST_SUITE_P(
    All, CrashTest,
    testing::Values(Crash{"WriteToNowhere", SIGSEGV, WriteToNowhere},
                    Crash{"OverflowTheStack", SIGSEGV, OverflowTheStack},
                    Crash{"Abort", SIGABRT, [] { std::abort(); }},
                    Crash{"Raise", SIGFPE, [] { raise(SIGFPE); }}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_P(CrashTest, PrintedTokenReplaysIt) {
  const Crash& crash = GetParam();
  const auto explore = [&](const std::string& token) {
    return RunInChild([&] {
      FindFailure({.replay = token},
                  [&](Sim& io) { CrashHalfway(io, crash.run); });
    });
  };
  const Ended first = explore("");
  EXPECT_EQ(first.signal, crash.signal) << first.output;
  EXPECT_NE(first.output.find(" in task 2 'reader' at step "),
            std::string::npos)
      << first.output;
  ASSERT_NE(first.token(), "") << first.output;
  const Ended again = explore(first.token());
  EXPECT_EQ(again.signal, crash.signal) << again.output;
  EXPECT_EQ(again.output, first.output);
}

TEST(CrashReporterTest, RepairedProgramIsNotASilentPass) {
  const Ended crashed = RunInChild([] {
    FindFailure({}, [](Sim& io) { CrashHalfway(io, WriteToNowhere); });
  });
  const KeepAbandoned keep;
  const ExploreResult result = FindFailure(
      {.replay = crashed.token()}, [](Sim& io) { CrashHalfway(io, [] {}); });
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.failure->kind, FailureKind::kDivergence) << result.report;
}

TEST(CrashReporterTest, HandlersAreThoseOfBeforeAfterwards) {
  struct sigaction before {};
  struct sigaction after {};
  stack_t stack_before{};
  stack_t stack_after{};
  sigaction(SIGSEGV, nullptr, &before);
  sigaltstack(nullptr, &stack_before);
  FindFailure({.schedules = 1}, [](Sim&) {});
  sigaction(SIGSEGV, nullptr, &after);
  sigaltstack(nullptr, &stack_after);
  EXPECT_EQ(before.sa_sigaction, after.sa_sigaction);
  EXPECT_EQ(before.sa_flags, after.sa_flags);
  EXPECT_EQ(stack_before.ss_sp, stack_after.ss_sp);
  EXPECT_EQ(stack_before.ss_flags, stack_after.ss_flags);
}

TEST(BlockedTest, TaskThatBlocksTheThreadIsNamed) {
  const auto body = [](Sim& io) {
    std::mutex mutex;
    const auto use = [&] {
      const std::lock_guard lock(mutex);
      io.Yield();
    };
    auto first = Async(io, {.name = "first"}, use);
    auto second = Async(io, {.name = "second"}, use);
    first.Await(io);
    second.Await(io);
  };
  const Ended ended = RunInChild([&] {
    FindFailure({.blocked_limit = std::chrono::milliseconds(100)}, body);
  });
  EXPECT_EQ(ended.signal, SIGABRT);
  EXPECT_THAT(ended.output,
              ::testing::ContainsRegex(
                  "weft: sim: a task has blocked the thread for 100ms.*\n"
                  "weft: sim: SIGABRT in task [12] '(first|second)' at step"));
  EXPECT_NE(ended.token(), "");
}

TEST(BlockedTest, ThreadThatSleepsAgainAndAgainIsNotBlocked) {
  const BlockedWatch watch(std::chrono::milliseconds(20));
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

}  // namespace
}  // namespace weft::sim
