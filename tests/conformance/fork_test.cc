// S16: a child process that touches a backend of its parent fails at once and
// says why, and the parent goes on, on every backend with threads.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <thread>

#include "weft/runtime/future.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/event.h"
#include "weft/tests/conformance/backends.h"
#include "weft/tests/conformance/descriptors.h"

namespace weft {
namespace {

using namespace std::chrono_literals;
using testing::MakeIo;
using testing::Pipe;
using testing::RunOn;
using testing::RunOnInstance;

struct Ended {
  int status = 0;
  std::string output;
};

// Calls `fn` in a child process. Blocks the calling thread, worker or not.
template <class Fn>
Ended InForkedChild(Fn fn) {
  Pipe pipe;
  const pid_t child = fork();
  if (child == 0) {
    // What a sanitizer or GoogleTest does about an abort is not what is tested.
    signal(SIGABRT, SIG_DFL);
    // One that hangs is ended.
    alarm(60);
    dup2(pipe.write.fd(), STDERR_FILENO);
    fn();
    _exit(0);
  }
  pipe.write.Close();
  Ended ended;
  char buffer[4096];
  for (ssize_t size = 0;
       (size = read(pipe.read.fd(), buffer, sizeof(buffer))) != 0;) {
    if (size > 0) ended.output.append(buffer, static_cast<size_t>(size));
  }
  while (waitpid(child, &ended.status, 0) < 0 && errno == EINTR) {
  }
  return ended;
}

void ExpectRefused(const Ended& ended, const std::string& call) {
  EXPECT_TRUE(WIFSIGNALED(ended.status) && WTERMSIG(ended.status) == SIGABRT)
      << ended.status;
  EXPECT_EQ(ended.output.find("weft: misuse: " + call +
                              " came in a child process, on a backend that its "
                              "parent made: "),
            0u)
      << ended.output;
  EXPECT_EQ(ended.output.find('\n'), ended.output.size() - 1) << ended.output;
}

void ExpectWell(const Ended& ended) {
  EXPECT_TRUE(WIFEXITED(ended.status) && WEXITSTATUS(ended.status) == 0)
      << ended.status;
  EXPECT_EQ(ended.output, "");
}

template <class Config>
class ForkTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(ForkTest, testing::KernelBackends, testing::BackendNames);

TYPED_TEST(ForkTest, S16ParentGoesOnWithItsOperationInFlight) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Pipe pipe;
    auto reader = Concurrent(io, [&](B& own) {
      char byte = 0;
      EXPECT_EQ(own.Perform(
                    op::ReadAt{.fd = pipe.read.fd(), .data = &byte, .size = 1}),
                1);
      return byte;
    });
    // The read is in the kernel, or on its way there.
    EXPECT_TRUE(Sleep(io, 1ms).ok());
    ExpectRefused(InForkedChild([&] { (void)Sleep(io, 1ms); }), "Sleep");
    EXPECT_EQ(write(pipe.write.fd(), "x", 1), 1);
    EXPECT_EQ(reader->Await(io), 'x');
  });
}

TYPED_TEST(ForkTest, S16EveryKindOfCallIsRefusedInTheChildOfATask) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    auto sleeper = Concurrent(io, [](B& own) { return Sleep(own, 1h); });
    ExpectRefused(InForkedChild([&] { Async(io, [] {}).Await(io); }), "Async");
    ExpectRefused(InForkedChild([&] {
                    char byte = 0;
                    io.Perform(op::ReadAt{.fd = 0, .data = &byte, .size = 1});
                  }),
                  "read");
    ExpectRefused(InForkedChild([&] { io.Yield(); }), "Yield");
    sleeper->Cancel();
    EXPECT_EQ(sleeper->Await(io).code(), absl::StatusCode::kCancelled);
  });
}

TYPED_TEST(ForkTest, S16TaskThatReturnsInTheChildIsRefused) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Pipe pipe;
    pid_t child = 0;
    Async(io, [&] {
      child = fork();
      if (child != 0) return;
      signal(SIGABRT, SIG_DFL);
      alarm(60);
      dup2(pipe.write.fd(), STDERR_FILENO);
    }).Await(io);
    pipe.write.Close();
    Ended ended;
    char buffer[4096];
    const ssize_t size = read(pipe.read.fd(), buffer, sizeof(buffer));
    if (size > 0) ended.output.assign(buffer, static_cast<size_t>(size));
    EXPECT_EQ(waitpid(child, &ended.status, 0), child);
    ExpectRefused(ended, "the end of a task");
  });
}

TYPED_TEST(ForkTest, S16CallsOfOtherThreadsAreRefusedInTheChild) {
  using B = typename TypeParam::Io;
  const auto io = MakeIo<TypeParam>();
  RunOnInstance(*io, [&](B& own) {
    Event<B> event;
    auto waiter =
        Concurrent(own, [&](B& task_io) { return event.Wait(task_io); });
    EXPECT_TRUE(Sleep(own, 1ms).ok());
    // Here it is the host program's thread that forks.
    std::thread([&] {
      const Ended ended = InForkedChild([&] { (void)io->Run([](B&) {}); });
      EXPECT_TRUE(WIFSIGNALED(ended.status)) << ended.status;
      EXPECT_NE(ended.output.find("came in a child process"), std::string::npos)
          << ended.output;
      ExpectRefused(InForkedChild([&] { event.Set(*io); }), "waking a task");
    }).join();
    event.Set(own);
    EXPECT_TRUE(waiter->Await(own).ok());
  });
}

TYPED_TEST(ForkTest, S16InstanceIsDestroyedInTheChildWithoutAHang) {
  using B = typename TypeParam::Io;
  auto io = MakeIo<TypeParam>();
  RunOnInstance(*io, [](B& own) {
    TaskGroup<B> group(own);
    for (int i = 0; i < 4; ++i) group.Spawn([](B& task) { task.Yield(); });
    EXPECT_TRUE(group.Await(own).ok());
  });
  ExpectWell(InForkedChild([&] { io = nullptr; }));
  RunOnInstance(*io, [](B& own) { EXPECT_TRUE(Sleep(own, 1ms).ok()); });
}

TYPED_TEST(ForkTest, S16ForkAndExecOutOfATask) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Pipe pipe;
    auto reader = Concurrent(io, [&](B& own) {
      char byte = 0;
      return own.Perform(
          op::ReadAt{.fd = pipe.read.fd(), .data = &byte, .size = 1});
    });
    ExpectWell(InForkedChild([] {
      execl("/bin/true", "true", nullptr);
      _exit(1);
    }));
    EXPECT_EQ(write(pipe.write.fd(), "x", 1), 1);
    EXPECT_EQ(reader->Await(io), 1);
  });
}

}  // namespace
}  // namespace weft
