#include "weft/runtime/fiber/context.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cfenv>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "weft/runtime/fiber/stack_pool.h"

#if defined(__x86_64__)
#include <fpu_control.h>
#include <xmmintrin.h>
#endif

namespace weft::internal {
namespace {

// A flow of control that the test resumes and that pauses itself. Must have
// ended when it is destroyed.
class Flow {
 public:
  using Body = std::function<void(Flow&)>;

  explicit Flow(Body body, size_t shorten_by = 0)
      : body_(std::move(body)), stack_(Take()) {
    context_ = std::make_unique<Context>(
        stack_.bottom, stack_.size - shorten_by, &Flow::Main, this);
  }
  ~Flow() {
    EXPECT_TRUE(ended_);
    context_ = nullptr;
    Pool().Give(stack_);
  }

  void Resume() {
    ASSERT_FALSE(ended_);
    Thread().SwitchTo(*context_);
  }
  void Pause() { context_->SwitchTo(Thread()); }
  // Resumes `other` without a detour over the thread.
  void Pass(Flow& other) { context_->SwitchTo(*other.context_); }

  bool ended() const { return ended_; }

 private:
  static StackPool& Pool() {
    static auto& pool = *new StackPool(size_t{256} << 10);
    return pool;
  }
  static Context& Thread() {
    static auto& thread = *new Context();
    return thread;
  }
  static Stack Take() {
    EXPECT_TRUE(Pool().Reserve().ok());
    return Pool().Take();
  }
  static void Main(void* flow) {
    auto& self = *static_cast<Flow*>(flow);
    self.body_(self);
    self.ended_ = true;
    self.context_->SwitchToForGood(Thread());
  }

  const Body body_;
  const Stack stack_;
  std::unique_ptr<Context> context_;
  bool ended_ = false;
};

TEST(ContextTest, FlowRunsToItsEndAndItsValuesSurviveEverySwitch) {
  std::string trace;
  Flow flow([&](Flow& self) {
    int number = 1;
    double fraction = 0.5;
    for (int i = 0; i < 3; ++i) {
      trace += std::to_string(number) + " " + std::to_string(fraction) + ";";
      number *= 2;
      fraction /= 2;
      self.Pause();
    }
  });
  for (int i = 0; i < 4; ++i) {
    trace += "|";
    flow.Resume();
  }
  EXPECT_TRUE(flow.ended());
  EXPECT_EQ(trace, "|1 0.500000;|2 0.250000;|4 0.125000;|");
}

TEST(ContextTest, FlowsSwitchStraightToEachOther) {
  std::string trace;
  Flow* second = nullptr;
  Flow first([&](Flow& self) {
    trace += "a";
    self.Pass(*second);
    trace += "c";
    self.Pass(*second);
    trace += "e";
  });
  Flow other([&](Flow& self) {
    trace += "b";
    self.Pass(first);
    trace += "d";
    self.Pause();
    trace += "f";
  });
  second = &other;
  first.Resume();
  trace += "-";
  first.Resume();
  other.Resume();
  EXPECT_EQ(trace, "abcd-ef");
}

// S2
TEST(ContextTest, ErrnoBelongsToTheFlow) {
  errno = 3;
  const auto keep = [](int mine) {
    return [mine](Flow& self) {
      EXPECT_EQ(errno, 0);
      errno = mine;
      self.Pause();
      EXPECT_EQ(errno, mine);
      self.Pause();
      EXPECT_EQ(errno, mine);
    };
  };
  Flow first(keep(1));
  Flow second(keep(2));
  for (int i = 0; i < 3; ++i) {
    first.Resume();
    EXPECT_EQ(errno, 3);
    second.Resume();
    EXPECT_EQ(errno, 3);
  }
}

std::string MessageOf(const std::exception_ptr& exception) {
  if (exception == nullptr) return "none";
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& error) {
    return error.what();
  }
}

// S3: with one stack of caught exceptions for all, a flow would rethrow the
// exception of another.
TEST(ContextTest, ExceptionIsRethrownByTheFlowThatCaughtIt) {
  const auto catch_and_rethrow = [](const char* what, std::string& ended) {
    return [what, &ended](Flow& self) {
      try {
        try {
          throw std::runtime_error(what);
        } catch (...) {
          self.Pause();
          EXPECT_EQ(MessageOf(std::current_exception()), what);
          self.Pause();
          throw;
        }
      } catch (const std::runtime_error& error) {
        ended = error.what();
      }
      EXPECT_EQ(std::current_exception(), nullptr);
    };
  };
  std::string first_ended;
  std::string second_ended;
  Flow first(catch_and_rethrow("first", first_ended));
  Flow second(catch_and_rethrow("second", second_ended));
  for (int i = 0; i < 3; ++i) {
    first.Resume();
    EXPECT_EQ(std::current_exception(), nullptr);
    second.Resume();
    EXPECT_EQ(std::current_exception(), nullptr);
  }
  EXPECT_EQ(first_ended, "first");
  EXPECT_EQ(second_ended, "second");
}

// S3
TEST(ContextTest, UncaughtExceptionsAreCountedPerFlow) {
  struct PauseInDestructor {
    Flow& flow;
    ~PauseInDestructor() {
      EXPECT_EQ(std::uncaught_exceptions(), 1);
      flow.Pause();
      EXPECT_EQ(std::uncaught_exceptions(), 1);
    }
  };
  const auto unwind = [](std::string& ended) {
    return [&ended](Flow& self) {
      EXPECT_EQ(std::uncaught_exceptions(), 0);
      try {
        const PauseInDestructor pause{self};
        throw std::runtime_error("unwound");
      } catch (const std::runtime_error& error) {
        EXPECT_EQ(std::uncaught_exceptions(), 0);
        self.Pause();
        EXPECT_STREQ(error.what(), "unwound");
      }
      ended += "e";
    };
  };
  std::string ended;
  Flow first(unwind(ended));
  Flow second(unwind(ended));
  for (int i = 0; i < 3; ++i) {
    first.Resume();
    EXPECT_EQ(std::uncaught_exceptions(), 0);
    second.Resume();
    EXPECT_EQ(std::uncaught_exceptions(), 0);
  }
  EXPECT_EQ(ended, "ee");
}

// S3: a flow that starts while its maker handles an exception starts clean.
TEST(ContextTest, FlowStartsWithoutTheExceptionsOfItsMaker) {
  std::string seen;
  try {
    throw std::runtime_error("maker");
  } catch (...) {
    Flow flow([&](Flow&) {
      seen = MessageOf(std::current_exception());
      try {
        throw std::runtime_error("own");
      } catch (...) {
        seen += " " + MessageOf(std::current_exception());
      }
    });
    flow.Resume();
    EXPECT_EQ(MessageOf(std::current_exception()), "maker");
  }
  EXPECT_EQ(seen, "none own");
}

// S3: nested handlers, ended in another order than begun.
TEST(ContextTest, HandlersMayEndInAnyOrderAcrossFlows) {
  std::vector<std::unique_ptr<Flow>> flows;
  std::vector<int> ended;
  constexpr int kFlows = 5;
  for (int i = 0; i < kFlows; ++i) {
    flows.push_back(std::make_unique<Flow>([&ended, i](Flow& self) {
      try {
        throw i;
      } catch (int outer) {
        try {
          throw i + 100;
        } catch (int inner) {
          self.Pause();
          EXPECT_EQ(inner, i + 100);
        }
        self.Pause();
        EXPECT_EQ(outer, i);
      }
      ended.push_back(i);
    }));
  }
  for (const auto& flow : flows) flow->Resume();
  for (int i : {2, 0, 4, 1, 3}) flows[static_cast<size_t>(i)]->Resume();
  for (int i : {1, 4, 3, 0, 2}) flows[static_cast<size_t>(i)]->Resume();
  EXPECT_EQ(ended, (std::vector{1, 4, 3, 0, 2}));
}

// S4
TEST(ContextTest, RoundingModeBelongsToTheFlow) {
  const auto keep = [](int mode) {
    return [mode](Flow& self) {
      EXPECT_EQ(std::fegetround(), FE_TONEAREST);
      std::fesetround(mode);
      for (int i = 0; i < 2; ++i) {
        self.Pause();
        EXPECT_EQ(std::fegetround(), mode);
      }
    };
  };
  Flow first(keep(FE_UPWARD));
  Flow second(keep(FE_DOWNWARD));
  for (int i = 0; i < 3; ++i) {
    first.Resume();
    EXPECT_EQ(std::fegetround(), FE_TONEAREST);
    second.Resume();
    EXPECT_EQ(std::fegetround(), FE_TONEAREST);
  }
}

#if defined(__x86_64__)
// S4
TEST(ContextTest, FlushToZeroBelongsToTheFlow) {
  if (RunsOnValgrind()) GTEST_SKIP() << "Valgrind knows no flush to zero";
  const unsigned before = _mm_getcsr() & _MM_FLUSH_ZERO_MASK;
  ASSERT_EQ(before, unsigned{_MM_FLUSH_ZERO_OFF});
  Flow flow([](Flow& self) {
    _mm_setcsr(_mm_getcsr() | _MM_FLUSH_ZERO_ON);
    self.Pause();
    EXPECT_EQ(_mm_getcsr() & _MM_FLUSH_ZERO_MASK, unsigned{_MM_FLUSH_ZERO_ON});
  });
  flow.Resume();
  EXPECT_EQ(_mm_getcsr() & _MM_FLUSH_ZERO_MASK, before);
  flow.Resume();
  EXPECT_EQ(_mm_getcsr() & _MM_FLUSH_ZERO_MASK, before);
}

// S4
TEST(ContextTest, X87ControlWordBelongsToTheFlow) {
  if (RunsOnValgrind()) GTEST_SKIP() << "Valgrind has one precision on the x87";
  const auto control_word = [] {
    fpu_control_t word = 0;
    _FPU_GETCW(word);
    return word;
  };
  const fpu_control_t before = control_word();
  ASSERT_EQ(before & _FPU_EXTENDED, _FPU_EXTENDED);
  Flow flow([&](Flow& self) {
    fpu_control_t single = static_cast<fpu_control_t>(before & ~_FPU_EXTENDED);
    _FPU_SETCW(single);
    self.Pause();
    EXPECT_EQ(control_word(), single);
  });
  flow.Resume();
  EXPECT_EQ(control_word(), before);
  flow.Resume();
  EXPECT_EQ(control_word(), before);
}
#endif

struct alignas(64) Line {
  char bytes[64];
};

[[gnu::noinline]] bool IsAligned(const volatile void* address, size_t to) {
  return reinterpret_cast<uintptr_t>(address) % to == 0;
}

// S5
TEST(ContextTest, StackIsAlignedAtEntryWhereverItsTopLies) {
  for (size_t shorten_by = 0; shorten_by < 128; ++shorten_by) {
    bool checked = false;
    Flow flow(
        [&](Flow& self) {
          volatile Line line;
          alignas(16) volatile double pair[2] = {1.5, 2.5};
          alignas(32) volatile double four[4] = {1, 2, 3, 4};
          EXPECT_TRUE(IsAligned(&line, 64));
          EXPECT_TRUE(IsAligned(pair, 16));
          EXPECT_TRUE(IsAligned(four, 32));
          // Takes aligned vector stores in the C library.
          char text[64];
          std::snprintf(text, sizeof(text), "%.2f %.1Lf", pair[0],
                        static_cast<long double>(pair[1]));
          EXPECT_STREQ(text, "1.50 2.5");
          self.Pause();
          EXPECT_EQ(four[3] * pair[1], 10);
          checked = true;
        },
        shorten_by);
    flow.Resume();
    flow.Resume();
    EXPECT_TRUE(checked);
  }
}

// S13: nothing is left behind by flows that ended; the sanitizers watch.
TEST(ContextTest, StacksOfEndedFlowsAreUsedAgain) {
  int sum = 0;
  for (int i = 0; i < 20000; ++i) {
    Flow flow([&sum](Flow& self) {
      volatile char frame[2048] = {};
      frame[0] = 1;
      self.Pause();
      sum += frame[0];
    });
    flow.Resume();
    flow.Resume();
  }
  EXPECT_EQ(sum, 20000);
}

}  // namespace
}  // namespace weft::internal
