#include "weft/runtime/internal/thread_status.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <future>
#include <optional>
#include <thread>

namespace weft::internal {
namespace {

// A thread that reads from a pipe into which nobody writes.
class Reader {
 public:
  Reader() {
    EXPECT_EQ(pipe(ends_), 0);
    std::promise<pid_t> id;
    std::future<pid_t> told = id.get_future();
    thread_ = std::thread([this, &id] {
      id.set_value(gettid());
      char byte;
      EXPECT_EQ(read(ends_[0], &byte, 1), 0);
    });
    id_ = told.get();
  }
  ~Reader() {
    End();
    close(ends_[0]);
  }

  pid_t id() const { return id_; }
  void AwaitSleep() const {
    while (SystemCallOf(id_) != SYS_read) std::this_thread::yield();
  }
  void End() {
    if (!thread_.joinable()) return;
    close(ends_[1]);
    thread_.join();
  }

 private:
  int ends_[2] = {-1, -1};
  pid_t id_ = 0;
  std::thread thread_;
};

TEST(ThreadStatusTest, ThreadThatReadsItsOwnRuns) {
  const ThreadStatus own = ThreadStatus::Of(gettid());
  EXPECT_EQ(own.state, 'R');
  EXPECT_TRUE(own.switches.has_value());
}

TEST(ThreadStatusTest, BlockedThreadSleepsInItsCallAndDoesNotSwitch) {
  const Reader reader;
  reader.AwaitSleep();
  const ThreadStatus first = ThreadStatus::Of(reader.id());
  EXPECT_EQ(first.state, 'S');
  ASSERT_TRUE(first.switches.has_value());
  EXPECT_GE(*first.switches, 1u);
  EXPECT_EQ(ThreadStatus::Of(reader.id()).switches, first.switches);
}

TEST(ThreadStatusTest, NothingIsKnownOfAThreadThatIsGone) {
  Reader reader;
  reader.End();
  // The kernel may take a moment longer than the join.
  while (ThreadStatus::Of(reader.id()).state != 0) std::this_thread::yield();
  EXPECT_EQ(ThreadStatus::Of(reader.id()).switches, std::nullopt);
  EXPECT_EQ(SystemCallOf(reader.id()), std::nullopt);
}

TEST(ThreadStatusTest, CallsHaveTheNameOfTheirManualPage) {
  EXPECT_EQ(SystemCallName(SYS_read), "read(2)");
  EXPECT_EQ(SystemCallName(SYS_futex), "futex(2)");
  EXPECT_EQ(SystemCallName(SYS_pselect6), "pselect(2)");
  EXPECT_EQ(SystemCallName(1'000'000), "system call 1000000");
}

TEST(ThreadStatusTest, ThreadStartedWithoutSignalsBlocksThemFromTheStart) {
  sigset_t before;
  sigset_t inside;
  sigset_t after;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  StartWithoutSignals([&inside] {
    pthread_sigmask(SIG_SETMASK, nullptr, &inside);
  }).join();
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  for (const int signal : {SIGINT, SIGTERM, SIGCHLD, SIGUSR1, SIGRTMIN}) {
    EXPECT_EQ(sigismember(&inside, signal), 1) << signal;
    EXPECT_EQ(sigismember(&before, signal), 0) << signal;
    EXPECT_EQ(sigismember(&after, signal), 0) << signal;
  }
}

}  // namespace
}  // namespace weft::internal
