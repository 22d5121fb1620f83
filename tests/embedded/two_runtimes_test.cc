// Two runtimes in one process, one of them in a shared library that is loaded
// with dlopen. Built twice: with a copy of weft in each, and with one libweft
// for both.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include "weft/backends/evented/evented.h"
#include "weft/runtime/future.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/event.h"
#include "weft/tests/embedded/plugin.h"

namespace weft {
namespace {

// The plugin that the build has made for this program.
class Plugin {
 public:
  Plugin() {
    const char* path = std::getenv("WEFT_TEST_PLUGIN");
    library_ = dlopen(path == nullptr ? "" : path, RTLD_NOW | RTLD_LOCAL);
    if (library_ == nullptr) ADD_FAILURE() << dlerror();
  }
  ~Plugin() {
    if (library_ != nullptr) dlclose(library_);
  }

  int Run(int tasks) { return Find<PluginRun>("weft_plugin_run")(tasks); }
  void Keep(bool keep) { Find<PluginKeep>("weft_plugin_keep")(keep); }
  int Use(Evented& io) { return Find<PluginUse>("weft_plugin_use")(&io); }

 private:
  template <class Function>
  Function& Find(const char* name) {
    auto* const function = reinterpret_cast<Function*>(dlsym(library_, name));
    if (function == nullptr) std::abort();
    return *function;
  }

  void* library_;
};

Options Reporting() {
  Options options;
  options.workers = 2;
  options.report_overflow = true;
  return options;
}

void (*HandlerOfSegv())(int, siginfo_t*, void*) {
  struct sigaction action {};
  sigaction(SIGSEGV, nullptr, &action);
  return action.sa_sigaction;
}

TEST(TwoRuntimesTest, BothRunAtOnce) {
  Plugin plugin;
  const auto io = Evented::Create(Reporting()).value();
  int sum = 0;
  std::thread host([&] {
    const absl::Status status = io->Run([&](Evented& own) {
      TaskGroup<Evented> group(own);
      for (int i = 0; i < 100; ++i) {
        group.Spawn([](Evented& task_io) {
          return Sleep(task_io, std::chrono::milliseconds(1));
        });
      }
      return group.Await(own);
    });
    EXPECT_TRUE(status.ok()) << status;
  });
  for (int round = 0; round < 3; ++round) sum += plugin.Run(20);
  host.join();
  EXPECT_EQ(sum, 3 * 2 * 20);
}

// gdb_test.py stops it in a task of the plugin.
TEST(TwoRuntimesTest, PluginRunsWhileATaskOfTheHostWaits) {
  Plugin plugin;
  const auto io = Evented::Create(Reporting()).value();
  const absl::Status status = io->Run([&](Evented& own) {
    Event<Evented> done;
    std::thread host([&] {
      EXPECT_EQ(plugin.Run(1), 2);
      done.Set(own);
    });
    const absl::Status waited = done.Wait(own);
    host.join();
    return waited;
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(TwoRuntimesTest, HandlersAreThoseOfBeforeInTheEnd) {
  Plugin plugin;
  const auto before = HandlerOfSegv();
  {
    const auto io = Evented::Create(Reporting()).value();
    plugin.Keep(true);
    EXPECT_NE(HandlerOfSegv(), before);
    plugin.Keep(false);
    EXPECT_NE(HandlerOfSegv(), before);
  }
  EXPECT_EQ(HandlerOfSegv(), before);
}

TEST(TwoRuntimesTest, ProcessForksAfterThePluginIsGone) {
  { EXPECT_EQ(Plugin().Run(1), 2); }
  const pid_t child = fork();
  if (child == 0) _exit(0);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

// Else a crash in the host would call what is no longer there.
TEST(TwoRuntimesTest, HandlerBelowAnotherStaysLoaded) {
  if (std::getenv("WEFT_TEST_PLUGIN_SHARES") != nullptr) {
    GTEST_SKIP() << "the handler is not in this plugin";
  }
  std::unique_ptr<Evented> io;
  {
    Plugin plugin;
    plugin.Keep(true);
    io = Evented::Create(Reporting()).value();
    plugin.Keep(false);
  }
  EXPECT_NE(dlopen(std::getenv("WEFT_TEST_PLUGIN"), RTLD_NOW | RTLD_NOLOAD),
            nullptr);
}

[[gnu::noinline]] int Recurse(volatile int* above) {
  volatile int here[64] = {*above};
  return here[0] == 0 ? 0 : Recurse(here) + here[0];
}

// The handler of the plugin is above that of the host, whose task it is.
TEST(TwoRuntimesDeathTest, OverflowInTheHostIsReported) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        signal(SIGSEGV, SIG_DFL);
        Plugin plugin;
        const auto io = Evented::Create(Reporting()).value();
        plugin.Keep(true);
        (void)io->Run([](Evented& own) {
          Async(own, {.name = "deep"}, [] {
            volatile int start = 1;
            (void)Recurse(&start);
          }).Await(own);
        });
      },
      ::testing::KilledBySignal(SIGSEGV),
      "^weft: stack overflow in task 'deep', spawned at ");
}

TEST(TwoRuntimesTest, PluginThatSharesLibweftUsesTheHostsBackend) {
  const char* shares = std::getenv("WEFT_TEST_PLUGIN_SHARES");
  if (shares == nullptr) GTEST_SKIP() << "this one has a copy of its own";
  Plugin plugin;
  const auto io = Evented::Create(Reporting()).value();
  int answer = 0;
  EXPECT_TRUE(io->Run([&](Evented& own) { answer = plugin.Use(own); }).ok());
  EXPECT_EQ(answer, 42);
}

}  // namespace
}  // namespace weft
