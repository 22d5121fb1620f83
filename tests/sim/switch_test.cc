// What belongs to a task across a switch, and switch faults, which take away
// what does not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cfenv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "weft/backends/sim/explore.h"
#include "weft/backends/sim/gtest.h"
#include "weft/net/tcp_listener.h"
#include "weft/net/tcp_stream.h"
#include "weft/runtime/fiber/internal/sanitizer.h"
#include "weft/runtime/future.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/mutex.h"
#include "weft/tests/sim/abandoned.h"
#include "weft/tests/sim/programs.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEFT_TESTS_ASAN 1
#endif
#endif

namespace weft::sim {
namespace {

// --- Switch faults ---------------------------------------------------------

TEST(SwitchFaultTest, ErrnoIsLostInASwitch) {
  for (const bool marked : {false, true}) {
    Explore({.schedules = 10, .switch_faults = {.errno_marker = marked}},
            [marked](Sim& io) {
              auto other = Async(io, [&] {
                errno = ENOENT;
                io.Yield();
              });
              errno = EAGAIN;
              io.Yield();
              EXPECT_EQ(errno, marked ? 29'999 : EAGAIN);
              other.Await(io);
            });
  }
}

// A sender that says too late what it has sent.
void TellAfterSending(Sim& io) {
  auto listener =
      net::TcpListener::Bind(io, net::SocketAddress::Loopback(0)).value();
  int told = 0;
  auto sender = Async(io, [&] {
    auto stream = net::TcpStream::Connect(io, listener.local_address()).value();
    ASSERT_TRUE(stream.WriteAll(io, "x").ok());
    told = 1;
    char nothing[1];
    (void)stream.Read(io, nothing);
  });
  auto stream = listener.Accept(io).value();
  char x[1];
  ASSERT_TRUE(stream.ReadExactly(io, x).ok());
  if (told == 0) io.ReportFailure("was not told");
  stream.Close();
  sender.Await(io);
}

TEST(SwitchFaultTest, ResultMayComeLate) {
  const ExploreResult found = FindFailure({}, TellAfterSending);
  EXPECT_EQ(KindOf(found), FailureKind::kExpectation) << found.report;
  const ExploreResult at_once = FindFailure(
      {.schedules = 1'000, .switch_faults = {.late_results = false}},
      TellAfterSending);
  EXPECT_TRUE(at_once.ok()) << at_once.report;
}

TEST(SwitchFaultTest, LateResultsAreReplayed) {
  const ExploreResult found = FindFailure({}, TellAfterSending);
  const ExploreResult again =
      FindFailure({.replay = found.token}, TellAfterSending);
  EXPECT_EQ(again.token, found.token) << again.report;
}

TEST(SwitchFaultTest, TokenHasTheSwitchFaults) {
  // Fails only if errno is lost in a switch, or only if it is not.
  for (const bool on : {false, true}) {
    const auto body = [on](Sim& io) {
      const auto other = Async(io, [&] { io.Yield(); });
      errno = EAGAIN;
      io.Yield();
      if ((errno == EAGAIN) != on) io.ReportFailure("errno");
    };
    const SwitchFaultOptions faults = {
        .errno_marker = on, .late_results = on, .poison_stacks = on};
    const ExploreResult found = FindFailure({.switch_faults = faults}, body);
    ASSERT_EQ(KindOf(found), FailureKind::kExpectation) << found.report;
    const ExploreResult again = FindFailure({.replay = found.token}, body);
    EXPECT_EQ(KindOf(again), FailureKind::kExpectation) << again.report;
    EXPECT_EQ(again.token, found.token);
  }
}

constexpr size_t kLocals = 64;

// Of a task that leaves the address of its own locals behind. They are to lie
// on the stack of the task, not on one of AddressSanitizer.
[[gnu::noinline, gnu::no_sanitize_address]] void LeaveBehind(uintptr_t& left) {
  volatile char locals[kLocals];
  for (volatile char& local : locals) local = 'x';
  left = reinterpret_cast<uintptr_t>(locals);
}

// How many bytes of the locals of a task that has ended are poison.
size_t PoisonedOf(Sim& io) {
  uintptr_t left = 0;
  auto task = Async(io, [&] { LeaveBehind(left); });
  task.Await(io);
  io.Yield();
  const auto* const locals = reinterpret_cast<const volatile char*>(left);
  return static_cast<size_t>(std::count(locals, locals + kLocals, '\xDB'));
}

TEST(SwitchFaultTest, StackOfATaskThatHasEndedIsPoisoned) {
#if defined(WEFT_TESTS_ASAN)
  GTEST_SKIP() << "the stack cannot be read at all";
#endif
  if (internal::RunsOnValgrind()) GTEST_SKIP() << "nor can it on Valgrind";
  size_t poisoned = 0;
  const auto body = [&](Sim& io) { poisoned = PoisonedOf(io); };
  FindFailure({.schedules = 1}, body);
  EXPECT_EQ(poisoned, kLocals);
  FindFailure({.schedules = 1, .switch_faults = {.poison_stacks = false}},
              body);
  // What the task did last may have left such a byte in an address.
  EXPECT_LT(poisoned, kLocals / 2);
}

#if defined(WEFT_TESTS_ASAN)
TEST(SwitchFaultDeathTest, UseOfAStackThatHasEndedIsAnError) {
  EXPECT_DEATH(FindFailure({.schedules = 1}, [](Sim& io) { PoisonedOf(io); }),
               "use-after-poison");
}
#endif

// --- The same again --------------------------------------------------------

TEST(RepeatTest, BodyThatKeepsSomethingIsNoticed) {
  const KeepAbandoned keep;
  int calls = 0;
  const auto body = [&](Sim& io) { CountedProgram(io, ++calls % 2 + 1); };
  ExploreResult result = FindFailure({.strategy = "random"}, body);
  ASSERT_EQ(KindOf(result), FailureKind::kDivergence) << result.report;
  EXPECT_THAT(result.failure->text,
              ::testing::StartsWith("a schedule that had passed was run once "
                                    "more, and went another way\n"));
  EXPECT_EQ(result.schedules, 8u);
  calls = 0;
  result = FindFailure(
      {.schedules = 500, .strategy = "random", .repeat_every = 0}, body);
  EXPECT_TRUE(result.ok()) << result.report;
  EXPECT_EQ(calls, 500);
}

// --- What is the task's own ------------------------------------------------

// Others run here, in every way in which a task may let them.
void LetOthersRun(Sim& io, Mutex<Sim>& mutex) {
  { MutexLock lock(mutex, io); }
  io.Yield();
  EXPECT_TRUE(Sleep(io, Duration(1)).ok());
  Async(io, [] {}).Await(io);
}

TEST(OwnStateTest, RoundingModeStaysWithItsTask) {
  Explore({.schedules = 300}, [](Sim& io) {
    Mutex<Sim> mutex;
    TaskGroup<Sim> group(io);
    for (const int mode :
         {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO, FE_TONEAREST}) {
      group.Spawn([&io, &mutex, mode] {
        EXPECT_EQ(fegetround(), FE_TONEAREST);
        EXPECT_EQ(fesetround(mode), 0);
        LetOthersRun(io, mutex);
        EXPECT_EQ(fegetround(), mode);
      });
    }
    LetOthersRun(io, mutex);
    EXPECT_EQ(fegetround(), FE_TONEAREST);
    EXPECT_TRUE(group.Await(io).ok());
  });
}

// Waits in its destructor, also while an exception is on its way.
struct WaitsAtItsEnd {
  ~WaitsAtItsEnd() {
    const int uncaught = std::uncaught_exceptions();
    LetOthersRun(io, mutex);
    EXPECT_EQ(std::uncaught_exceptions(), uncaught);
  }
  Sim& io;
  Mutex<Sim>& mutex;
};

void CatchAndWait(Sim& io, Mutex<Sim>& mutex, const std::string& own) {
  try {
    try {
      const WaitsAtItsEnd waits{io, mutex};
      throw std::runtime_error(own);
    } catch (const std::runtime_error& e) {
      LetOthersRun(io, mutex);
      EXPECT_EQ(e.what(), own);
      EXPECT_EQ(std::uncaught_exceptions(), 0);
      throw;
    }
  } catch (...) {
    LetOthersRun(io, mutex);
    try {
      std::rethrow_exception(std::current_exception());
    } catch (const std::runtime_error& e) {
      EXPECT_EQ(e.what(), own);
    }
  }
  EXPECT_EQ(std::current_exception(), nullptr);
}

TEST(OwnStateTest, ExceptionsStayWithTheirTask) {
  Explore({.schedules = 200}, [](Sim& io) {
    Mutex<Sim> mutex;
    TaskGroup<Sim> group(io);
    for (const char* own : {"one", "two"}) {
      group.Spawn([&io, &mutex, own] { CatchAndWait(io, mutex, own); });
    }
    CatchAndWait(io, mutex, "body");
    EXPECT_TRUE(group.Await(io).ok());
  });
}

}  // namespace
}  // namespace weft::sim
