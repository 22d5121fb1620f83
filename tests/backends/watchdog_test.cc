// The options watchdog and dump_signal: what comes out on standard error.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <regex>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "weft/backends/evented/evented.h"
#include "weft/backends/threaded/threaded.h"
#include "weft/runtime/fiber/internal/sanitizer.h"
#include "weft/runtime/future.h"
#include "weft/runtime/internal/write_error.h"
#include "weft/runtime/options.h"
#include "weft/runtime/task_dump.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/event.h"
#include "weft/sync/latch.h"
#include "weft/tests/conformance/backends.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEFT_TEST_TSAN 1
#endif
#endif

namespace weft {
namespace {

using namespace std::chrono_literals;

// Standard error as a pipe, for as long as it lives.
class StandardError {
 public:
  StandardError() : before_(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)) {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    reader_ = ends[0];
    fcntl(reader_, F_SETFL, O_NONBLOCK);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
  }
  ~StandardError() {
    dup2(before_, STDERR_FILENO);
    close(before_);
    close(reader_);
  }
  int before() const { return before_; }

  // All that has come so far.
  const std::string& Text() {
    char buffer[4096];
    for (;;) {
      const ssize_t count = read(reader_, buffer, sizeof(buffer));
      if (count <= 0) return text_;
      text_.append(buffer, static_cast<size_t>(count));
    }
  }
  bool Has(const std::string& pattern) {
    return std::regex_search(Text(), std::regex(pattern));
  }
  // Whether there is a report of the watchdog, with its end. For tasks, whose
  // stacks are too small for regular expressions under ASan.
  bool HasReport() {
    const std::string& text = Text();
    return text.ends_with('\n') && (text.find("\n    #0 ") != text.npos ||
                                    text.find("\n    where: ") != text.npos);
  }
  // Blocks the thread until it has.
  void Await(const std::string& pattern) {
    while (!Has(pattern)) {
      pollfd fd = {.fd = reader_, .events = POLLIN, .revents = 0};
      poll(&fd, 1, 100);
    }
  }

 private:
  const int before_;
  int reader_ = -1;
  std::string text_;
};

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos;
       at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

// SIGUSR2 is blocked in this thread, for as long as it lives.
class BlockedSignal {
 public:
  BlockedSignal() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &signals, &before_);
  }
  ~BlockedSignal() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

template <class B>
std::unique_ptr<B> Make(Options options) {
  auto io = B::Create(options);
  EXPECT_TRUE(io.ok()) << io.status();
  return *std::move(io);
}

// How a report ends.
constexpr char kBacktrace[] = R"((    #\d+ \S+\+0x.*\n)+$)";
constexpr char kHint[] =
    R"(    where: 'weft bt \d+' in gdb, or set the option dump_signal\n$)";
std::string Where() {
#if defined(WEFT_TEST_TSAN)
  constexpr bool kHoldsSignals = true;
#else
  constexpr bool kHoldsSignals = false;
#endif
  // TSan and Valgrind hold signals back from code that makes no calls.
  if (kHoldsSignals || internal::RunsOnValgrind()) {
    return absl::StrCat("(", kBacktrace, "|", kHint, ")");
  }
  return kBacktrace;
}

sighandler_t HandlerOf(int signal) {
  struct sigaction action;
  sigaction(signal, nullptr, &action);
  return action.sa_handler;
}

class WatchdogTest : public testing::ConformanceTest<Evented> {};

TEST_F(WatchdogTest, TaskThatComputesIsReportedOnce) {
  StandardError error;
  const auto io = Make<Evented>({.workers = 1, .watchdog = 20ms});
  testing::RunOnInstance(*io, [&error](Evented& own) {
    Async(own, {.name = "busy"}, [&error] {
      while (!error.HasReport()) {
      }
      // Long enough for a second report, if there were one.
      const auto end = std::chrono::steady_clock::now() + 100ms;
      while (std::chrono::steady_clock::now() < end) {
      }
    }).Await(own);
  });
  EXPECT_TRUE(error.Has(
      R"(^weft: worker 0 has not switched for [0-9.]+m?s: task \d+ 'busy' )"
      R"(\(\S*watchdog_test.cc:\d+\) computes; let it Yield now and then\n)" +
      Where()))
      << error.Text();
  EXPECT_EQ(HandlerOf(SIGURG), SIG_DFL) << "the handler was left behind";
}

TEST_F(WatchdogTest, EachStallIsReported) {
  StandardError error;
  const auto io = Make<Evented>({.workers = 1, .watchdog = 20ms});
  testing::RunOnInstance(*io, [&error](Evented& own) {
    for (size_t stall = 1; stall <= 2; ++stall) {
      while (Count(error.Text(), "computes") < stall) {
      }
      EXPECT_TRUE(Sleep(own, 1ms).ok());
    }
  });
}

TEST_F(WatchdogTest, TasksThatYieldOrWaitAreNotReported) {
  StandardError error;
  const auto io = Make<Evented>({.workers = 2, .watchdog = 20ms});
  testing::RunOnInstance(*io, [](Evented& own) {
    Future<absl::Status, Evented> sleeper =
        Async(own, [](Evented& other) { return Sleep(other, 200ms); });
    while (!sleeper.ready()) own.Yield();
    EXPECT_TRUE(sleeper.Await(own).ok());
  });
  EXPECT_EQ(error.Text(), "");
}

TEST_F(WatchdogTest, WorkerIsWatchedAgainAfterAllWereIdle) {
  StandardError error;
  const auto io = Make<Evented>({.workers = 2, .watchdog = 20ms});
  testing::RunOnInstance(*io, [&error](Evented& own) {
    EXPECT_TRUE(Sleep(own, 200ms).ok());
    EXPECT_EQ(error.Text(), "");
    while (!error.Has("computes")) {
    }
  });
}

// In a process of its own, which cannot go on.
TEST_F(WatchdogTest, S17TaskBlockedByAForeignLockIsReported) {
  EXPECT_EXIT(
      {
        StandardError error;
        const auto io = Make<Evented>({.workers = 1, .watchdog = 20ms});
        std::thread([&error] {
          error.Await(Where());
          [[maybe_unused]] const ssize_t written =
              write(error.before(), error.Text().data(), error.Text().size());
          _exit(0);
        }).detach();
        std::mutex foreign;
        (void)io->Run([&foreign](Evented& own) {
          auto holder = Async(own, {.name = "holder"}, [&](Evented& other) {
            const std::lock_guard lock(foreign);
            (void)Sleep(other, 1h);
          });
          own.Yield();
          Async(own, {.name = "blocked"}, [&] {
            const std::lock_guard lock(foreign);
          }).Await(own);
        });
      },
      ::testing::ExitedWithCode(0),
      "task [0-9]+ 'blocked' .* is blocked in futex.2.: it waits for a lock "
      "that is not weft's.*\n    (#0 |where: )");
}

// In a process of its own, which is stopped and goes on, as it is by a
// debugger.
TEST_F(WatchdogTest, TimeInWhichTheProcessWasStoppedDoesNotCount) {
#if defined(WEFT_TEST_TSAN)
  GTEST_SKIP() << "TSan does not support threads begun in a child";
#endif
  constexpr auto kLimit = 400ms;
  for (;;) {
    int output[2];
    int input[2];
    ASSERT_EQ(pipe2(output, O_CLOEXEC), 0);
    ASSERT_EQ(pipe2(input, O_CLOEXEC), 0);
    const pid_t child = fork();
    if (child == 0) {
      dup2(output[1], STDERR_FILENO);
      const auto io = Make<Evented>({.workers = 1, .watchdog = kLimit});
      (void)io->Run([&](Evented&) {
        char byte = 0;
        (void)!write(STDERR_FILENO, "b", 1);
        (void)!read(input[0], &byte, 1);
      });
      _exit(0);
    }
    close(output[1]);
    char byte = 0;
    ASSERT_EQ(read(output[0], &byte, 1), 1);
    // Long enough for a look that finds it blocked.
    auto begin = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(kLimit * 2 / 5);
    kill(child, SIGSTOP);
    auto awake = std::chrono::steady_clock::now() - begin;
    std::this_thread::sleep_for(kLimit * 3 / 2);
    begin = std::chrono::steady_clock::now();
    kill(child, SIGCONT);
    // For the look that has been due since.
    std::this_thread::sleep_for(kLimit / 8);
    EXPECT_EQ(write(input[1], "x", 1), 1);
    std::string text;
    while (read(output[0], &byte, 1) == 1) text += byte;
    awake += std::chrono::steady_clock::now() - begin;
    EXPECT_EQ(waitpid(child, nullptr, 0), child);
    for (const int fd : {output[0], input[0], input[1]}) close(fd);
    // On a machine that is busy enough it was blocked for too long.
    if (awake >= kLimit * 2 / 3) continue;
    EXPECT_EQ(text, "");
    break;
  }
}

TEST_F(WatchdogTest, OffNeedsNoThread) {
  const size_t before = testing::ProcessCensus::Take().threads;
  const auto io = Make<Evented>({.workers = 1, .watchdog = 0s});
  EXPECT_EQ(testing::ProcessCensus::Take().threads, before + 1);
  const auto watched = Make<Evented>({.workers = 1});
  EXPECT_EQ(testing::ProcessCensus::Take().threads, before + 3);
}

TEST_F(WatchdogTest, HandlerOfTheProgramIsLeftAlone) {
  static std::atomic<int> urgent{0};
  urgent = 0;
  signal(SIGURG, [](int) { ++urgent; });
  StandardError error;
  const auto io = Make<Evented>({.workers = 1, .watchdog = 20ms});
  testing::RunOnInstance(*io, [&error](Evented&) {
    while (!error.HasReport()) {
    }
  });
  EXPECT_TRUE(error.Has(kHint)) << error.Text();
  EXPECT_EQ(urgent, 0);
  raise(SIGURG);
  EXPECT_EQ(urgent, 1);
  signal(SIGURG, SIG_DFL);
}

// A call that the kernel does not begin again is not interrupted.
TEST_F(WatchdogTest, TaskInASystemCallNoticesNothing) {
  StandardError error;
  const auto io = Make<Evented>({.workers = 1, .watchdog = 20ms});
  testing::RunOnInstance(*io, [&error](Evented&) {
    const timespec span = {.tv_sec = 0, .tv_nsec = 10'000'000};
    while (error.Text().empty()) EXPECT_EQ(nanosleep(&span, nullptr), 0);
    while (!error.HasReport()) {
    }
  });
  EXPECT_TRUE(error.Has(kHint)) << error.Text();
  EXPECT_TRUE(
      error.Has("is blocked in .*nanosleep\\(2\\); what takes an io "
                "would let others run\n"))
      << error.Text();
}

template <class B>
class DumpSignalTest : public testing::ConformanceTest<B> {};
using RealBackends = ::testing::Types<Threaded, Evented>;
TYPED_TEST_SUITE(DumpSignalTest, RealBackends);

TYPED_TEST(DumpSignalTest, AllTasksAreWrittenAtTheSignal) {
  StandardError error;
  {
    const auto io = Make<TypeParam>({.dump_signal = SIGUSR2});
    testing::RunOnInstance(*io, [&error](TypeParam& own) {
      Event<TypeParam> event;
      Future<void, TypeParam> waiter =
          Async(own, {.name = "waiter"},
                [&](TypeParam& other) { (void)event.Wait(other); });
      std::string waiting = "'waiter'.*: waits: event 0x\\w+, for .*";
#if defined(WEFT_TEST_TSAN)
      // It holds signals back from threads in system calls it does not know.
      const bool answers = std::is_same_v<TypeParam, Evented>;
#else
      const bool answers = true;
#endif
      if (answers) waiting += "\n +#0 ";
      // It may come before the waiter waits.
      while (!error.Has(waiting)) {
        kill(getpid(), SIGUSR2);
        EXPECT_TRUE(Sleep(own, 10ms).ok());
      }
      event.Set(own);
      waiter.Await(own);
    });
  }
  EXPECT_TRUE(error.Has("weft: 2 tasks of (threaded|evented)\n"))
      << error.Text();
  EXPECT_EQ(HandlerOf(SIGUSR2), SIG_DFL) << "the handler was left behind";
}

TYPED_TEST(DumpSignalTest, SeveralInstancesShareTheHandler) {
  StandardError error;
  const auto one = Make<TypeParam>({.dump_signal = SIGUSR2});
  {
    const auto other = Make<TypeParam>({.dump_signal = SIGUSR2});
    kill(getpid(), SIGUSR2);
    error.Await("weft: 0 tasks(.|\n)*weft: 0 tasks");
    const auto third = TypeParam::Create({.dump_signal = SIGUSR1});
    EXPECT_EQ(third.status(),
              absl::FailedPreconditionError(
                  "option dump_signal: another instance has USR2; all have to "
                  "have the same"));
  }
  kill(getpid(), SIGUSR2);
  error.Await("weft: 0 tasks(.|\n)*weft: 0 tasks(.|\n)*weft: 0 tasks");
}

// In a process of its own, in which no thread of the tests takes the signal.
TYPED_TEST(DumpSignalTest, SignalThatTheProgramBlocksIsTaken) {
#if defined(WEFT_TEST_TSAN)
  GTEST_SKIP() << "TSan does not support threads begun in a child";
#endif
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    StandardError error;
    const BlockedSignal blocked;
    const auto io = Make<TypeParam>({.dump_signal = SIGUSR2});
    kill(getpid(), SIGUSR2);
    error.Await("weft: 0 tasks");
    _exit(0);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TYPED_TEST(DumpSignalTest, PendingSignalDoesNotOutliveTheHandler) {
  auto io = Make<TypeParam>({.dump_signal = SIGUSR2});
  {
    const BlockedSignal blocked;
    // For this thread alone.
    pthread_kill(pthread_self(), SIGUSR2);
    io = nullptr;
  }
  // The process lives.
}

TYPED_TEST(DumpSignalTest, HandlerThatTheProgramInstallsLaterStays) {
  auto io = Make<TypeParam>({.dump_signal = SIGUSR2});
  void (*const handler)(int) = [](int) {};
  EXPECT_NE(signal(SIGUSR2, handler), SIG_ERR);
  io = nullptr;
  EXPECT_EQ(signal(SIGUSR2, SIG_DFL), handler);
}

TEST(ThreadedDumpSignalTest, ThreadsThatBlockTheSignalAreNotWaitedFor) {
  static constexpr size_t kTasks = 20;
  const auto io = Make<Threaded>({.dump_signal = SIGUSR2});
  testing::RunOnInstance(*io, [](Threaded& own) {
    const BlockedSignal blocked;  // which threads inherit
    TaskGroup<Threaded> group(own);
    Latch<Threaded> begun(kTasks);
    for (size_t i = 0; i < kTasks; ++i) {
      group.Spawn([&begun](Threaded& task_io) {
        begun.CountDown(task_io);
        return Sleep(task_io, 1h);
      });
    }
    EXPECT_TRUE(begun.Wait(own).ok());
    const auto begin = std::chrono::steady_clock::now();
    const std::string dump = DumpTasks(own);
    // A second for each would be 20.
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
    EXPECT_EQ(Count(dump, "its thread does not answer"), size_t{kTasks})
        << dump;
    group.Cancel();
    (void)group.Await(own);
  });
}

TEST(WriteErrorTest, DescriptorInNonBlockingModeGetsAll) {
  const std::string text(1 << 20, 'x');
  StandardError error;
  fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
  std::thread reader([&] {
    while (error.Text().size() < text.size()) std::this_thread::yield();
  });
  internal::WriteError(text);
  reader.join();
}

TYPED_TEST(DumpSignalTest, HandlerOfTheProgramIsNotReplaced) {
  signal(SIGUSR2, [](int) {});
  const auto io = TypeParam::Create({.dump_signal = SIGUSR2});
  EXPECT_EQ(io.status(),
            absl::FailedPreconditionError(
                "option dump_signal: the program has a handler of its own for "
                "USR2"));
  signal(SIGUSR2, SIG_DFL);
}

}  // namespace
}  // namespace weft
