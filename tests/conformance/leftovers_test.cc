// What is left behind is noticed: by the backend when an instance ends, by the
// fixture of the conformance tests when a test does.
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "weft/runtime/scope.h"
#include "weft/tests/conformance/backends.h"
#include "weft/tests/conformance/descriptors.h"

namespace weft {
namespace {

using namespace std::chrono_literals;
using testing::Pipe;
using testing::ProcessCensus;

TEST(ProcessCensusTest, DescriptorIsMissed) {
  const ProcessCensus before = ProcessCensus::Take();
  const Pipe pipe;
  EXPECT_NONFATAL_FAILURE(ProcessCensus::Take().ExpectAsIn(before),
                          "descriptors leaked");
}

TEST(ProcessCensusTest, ThreadIsMissed) {
  const ProcessCensus before = ProcessCensus::Take();
  std::atomic<bool> over{false};
  std::thread thread([&] { over.wait(false); });
  EXPECT_NONFATAL_FAILURE(ProcessCensus::Take().ExpectAsIn(before),
                          "threads leaked");
  over = true;
  over.notify_one();
  thread.join();
}

TEST(ProcessCensusTest, SignalHandlerIsMissed) {
  const ProcessCensus before = ProcessCensus::Take();
  const auto handler = signal(SIGUSR2, SIG_IGN);
  EXPECT_NONFATAL_FAILURE(ProcessCensus::Take().ExpectAsIn(before),
                          "the handler of signal 12 was changed");
  signal(SIGUSR2, handler);
  ProcessCensus::Take().ExpectAsIn(before);
}

TEST(ProcessCensusTest, SignalMaskIsMissed) {
  const ProcessCensus before = ProcessCensus::Take();
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR2);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  EXPECT_NONFATAL_FAILURE(ProcessCensus::Take().ExpectAsIn(before),
                          "signal 12 was blocked");
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

template <class Config>
class LeftoversDeathTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(LeftoversDeathTest, testing::KernelBackends,
                 testing::BackendNames);

TYPED_TEST(LeftoversDeathTest, InstanceMayNotEndBeforeItsTasks) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(
      {
        std::unique_ptr<B> io = testing::MakeIo<TypeParam>();
        std::atomic<bool> runs{false};
        std::thread([&] {
          testing::RunOnInstance(*io, [&](B& own) {
            runs = true;
            (void)Sleep(own, 1h);
          });
        }).detach();
        while (!runs) std::this_thread::yield();
        io = nullptr;
      },
      "weft: misuse: .* was destroyed before its tasks had ended \\(1 left\\)");
}

}  // namespace
}  // namespace weft
