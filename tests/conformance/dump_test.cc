// DumpTasks on every backend. Its output is parsed.

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "weft/runtime/future.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/task_dump.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/event.h"
#include "weft/sync/mutex.h"
#include "weft/tests/conformance/backends.h"

namespace weft {
namespace {

using namespace std::chrono_literals;

struct DumpedTask {
  std::string id;
  std::string parent;  // empty: none
  std::string place;
  std::string worker;  // or thread
  std::string state;
  std::vector<std::string> frames;
};

// The tasks of a dump by their names; fails if a line is not as it should be.
class ParsedDump {
 public:
  ParsedDump(const std::string& text, const std::string& backend)
      : text_(text) {
    static const std::regex kTask(R"(( *)task (\d+) '([^']*)'(?: \((\S+)\))?)"
                                  R"((?: on (worker \d+|thread \d+))?: (.*))");
    static const std::regex kFrame(R"( *#(\d+) (\S+\+0x[0-9a-f]+).*)");
    std::istringstream lines(text);
    std::string line;
    std::getline(lines, line);
    size_t count = 0;
    std::vector<std::string> ancestors;
    while (std::getline(lines, line)) {
      std::smatch match;
      if (std::regex_match(line, match, kTask)) {
        ++count;
        const auto depth = static_cast<size_t>(match.length(1) / 2);
        EXPECT_LE(depth, ancestors.size()) << line;
        ancestors.resize(depth);
        last_ = &tasks_[match[3]];
        *last_ = {.id = match[2],
                  .parent = depth == 0 ? "" : ancestors.back(),
                  .place = match[4],
                  .worker = match[5],
                  .state = match[6],
                  .frames = {}};
        ancestors.push_back(match[3]);
      } else if (std::regex_match(line, match, kFrame)) {
        EXPECT_EQ(match[1], std::to_string(last_->frames.size())) << line;
        last_->frames.push_back(match[2]);
      } else {
        EXPECT_NE(line.find("    no backtrace: "), std::string::npos) << line;
      }
    }
    EXPECT_EQ(text.substr(0, text.find('\n')),
              absl::StrCat("weft: ", count, count == 1 ? " task" : " tasks",
                           " of ", backend));
  }

  bool has(const std::string& name) const { return tasks_.contains(name); }
  const DumpedTask& operator[](const std::string& name) const {
    static const DumpedTask kNone;
    const auto found = tasks_.find(name);
    return found == tasks_.end() ? kNone : found->second;
  }
  bool Waits(const std::string& name, const std::string& what) const {
    return std::regex_match(
        (*this)[name].state,
        std::regex(absl::StrCat("waits: ", what,
                                ", for [0-9.hms]+(, at most [0-9.hms]+ "
                                "more)?")));
  }
  const std::string& text() const { return text_; }

 private:
  const std::string text_;
  std::map<std::string, DumpedTask> tasks_;
  DumpedTask* last_ = nullptr;
};

template <class Config>
class DumpTest : public testing::ConformanceTest<Config> {
 protected:
  // Dumps until it is as `condition` wants.
  template <class Condition>
  static ParsedDump DumpUntil(Io& io, Condition condition) {
    for (;;) {
      ParsedDump dump(DumpTasks(io), Config::kBackend);
      if (::testing::Test::HasFailure() || condition(dump)) return dump;
      io.Yield();
    }
  }
};
TYPED_TEST_SUITE(DumpTest, testing::Backends, testing::BackendNames);

TYPED_TEST(DumpTest, ShowsWhatEachTaskWaitsForAndWhoSpawnedIt) {
  using B = typename TypeParam::Io;
  testing::RunOn<TypeParam>([](B& io) {
    Mutex<B> mutex;
    mutex.Lock(io);
    Event<B> event;
    TaskGroup<B> group(io);
    group.Spawn({.name = "locker"},
                [&](B& own) { MutexLock lock(mutex, own); });
    group.Spawn({.name = "outer"}, [&](B& own) {
      Future<void, B> inner = Async(
          own, {.name = "inner"}, [&](B& inmost) { (void)event.Wait(inmost); });
      inner.Await(own);
    });
    const int line = __LINE__ + 1;
    group.Spawn({.name = "sleeper"}, [](B& own) { (void)Sleep(own, 1h); });
    const ParsedDump dump = TestFixture::DumpUntil(io, [](const ParsedDump& d) {
      return d.Waits("locker", "mutex 0x[0-9a-f]+") &&
             d.Waits("inner", "event 0x[0-9a-f]+") &&
             d.Waits("outer", "the end of task " + d["inner"].id) &&
             d.Waits("sleeper", "sleep");
    });
    EXPECT_EQ(dump["inner"].parent, "outer") << dump.text();
    EXPECT_EQ(dump["sleeper"].parent, dump["outer"].parent) << dump.text();
    EXPECT_NE(dump["outer"].parent, "") << dump.text();
    EXPECT_EQ(dump[dump["outer"].parent].state, "runs") << dump.text();
    EXPECT_TRUE(
        dump["sleeper"].place.ends_with(absl::StrCat("dump_test.cc:", line)))
        << dump["sleeper"].place;
    EXPECT_TRUE(std::regex_search(dump["sleeper"].state,
                                  std::regex(", at most (59m|1h)")))
        << dump["sleeper"].state;
    mutex.Unlock(io);
    event.Set(io);
    group.Cancel();
    EXPECT_TRUE(group.Await(io).ok());
    // Those that have ended are gone.
    EXPECT_FALSE(ParsedDump(DumpTasks(io), TypeParam::kBackend).has("sleeper"));
  });
}

TYPED_TEST(DumpTest, TellsHowLongATaskHasWaited) {
  using B = typename TypeParam::Io;
  testing::RunOn<TypeParam>([](B& io) {
    Event<B> event;
    Future<void, B> waiter =
        Async(io, {.name = "waiter"}, [&](B& own) { (void)event.Wait(own); });
    const auto waits = [](const ParsedDump& d) {
      return d.Waits("waiter", "event.*");
    };
    TestFixture::DumpUntil(io, waits);
    EXPECT_TRUE(Sleep(io, 30ms).ok());
    const ParsedDump dump = TestFixture::DumpUntil(io, waits);
    std::smatch match;
    const std::string state = dump["waiter"].state;
    ASSERT_TRUE(std::regex_search(state, match, std::regex("for ([^,]*)")));
    absl::Duration waited;
    ASSERT_TRUE(absl::ParseDuration(match.str(1), &waited)) << state;
    EXPECT_GE(waited, absl::Milliseconds(30)) << state;
    event.Set(io);
    waiter.Await(io);
  });
}

TYPED_TEST(DumpTest, NameCannotBreakALine) {
  using B = typename TypeParam::Io;
  testing::RunOn<TypeParam>([](B& io) {
    Event<B> event;
    Future<void, B> waiter =
        Async(io, {.name = std::string_view("a\nb\x1b\0c\x7f\xc3\xa9", 9)},
              [&](B& own) { (void)event.Wait(own); });
    const ParsedDump dump(DumpTasks(io), TypeParam::kBackend);
    EXPECT_TRUE(dump.has("a?b??c?\xc3\xa9")) << dump.text();
    event.Set(io);
    waiter.Await(io);
  });
}

// Each spawns the next; the last sets `begun` and waits for `end`.
template <class B>
void SpawnInARow(B& io, Event<B>& begun, Event<B>& end, int count) {
  Future<void, B> next =
      Async(io, {.name = absl::StrCat("row ", count)}, [&, count](B& own) {
        if (count > 0) {
          SpawnInARow(own, begun, end, count - 1);
        } else {
          begun.Set(own);
          (void)end.Wait(own);
        }
      });
  next.Await(io);
}

TYPED_TEST(DumpTest, LongRowOfTasksIsNotIndentedForEver) {
  using B = typename TypeParam::Io;
  testing::RunOn<TypeParam>([](B& io) {
    Event<B> begun;
    Event<B> end;
    Future<void, B> row =
        Async(io, [&](B& own) { SpawnInARow(own, begun, end, 99); });
    EXPECT_TRUE(begun.Wait(io).ok());
    const std::string text = DumpTasks(io);
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      EXPECT_LE(line.find_first_not_of(' '), 2 * 20 + 4u) << line;
    }
    std::smatch match;
    EXPECT_TRUE(
        std::regex_search(text, match, std::regex("task (\\d+) 'row 1'")));
    EXPECT_TRUE(std::regex_search(
        text, std::regex(absl::StrCat("'row 0'.*, spawned by task ",
                                      match.str(1), ": "))))
        << text;
    end.Set(io);
    row.Await(io);
  });
}

// Where WaitHere was called, as a dump has it.
std::atomic<uintptr_t> called_at{0};

template <class B>
[[gnu::noinline]] void WaitHere(B& io, Event<B>& event) {
  called_at = reinterpret_cast<uintptr_t>(__builtin_return_address(0)) - 1;
  (void)event.Wait(io);
  asm volatile("");  // no tail call
}

template <class B>
[[gnu::noinline]] void Caller(B& io, Event<B>& event) {
  WaitHere(io, event);
  asm volatile("");
}

std::string InFile(uintptr_t address) {
  Dl_info info;
  EXPECT_NE(dladdr(reinterpret_cast<void*>(address), &info), 0);
  const std::string file(info.dli_fname);
  return absl::StrCat(
      file.substr(file.rfind('/') + 1), "+0x",
      absl::Hex(address - reinterpret_cast<uintptr_t>(info.dli_fbase)));
}

TYPED_TEST(DumpTest, BacktraceOfAFiberGoesThroughTheUsersCode) {
  using B = typename TypeParam::Io;
  if (std::is_same_v<B, Threaded>) {
    GTEST_SKIP() << "threads have one only at a signal";
  }
  testing::RunOn<TypeParam>([](B& io) {
    Event<B> event;
    Future<void, B> waiter =
        Async(io, {.name = "waiter"}, [&](B& own) { Caller(own, event); });
    const ParsedDump dump = TestFixture::DumpUntil(io, [](const ParsedDump& d) {
      return d.Waits("waiter", "event.*") && !d["waiter"].frames.empty();
    });
    const std::vector<std::string>& frames = dump["waiter"].frames;
    EXPECT_NE(std::find(frames.begin(), frames.end(), InFile(called_at)),
              frames.end())
        << InFile(called_at) << " is missing:\n"
        << dump.text();
    event.Set(io);
    waiter.Await(io);
  });
}

TYPED_TEST(DumpTest, TaskThatDumpsSeesItselfRun) {
  using B = typename TypeParam::Io;
  testing::RunOn<TypeParam>([](B& io) {
    Future<void, B> dumper = Async(io, {.name = "dumper"}, [](B& own) {
      const ParsedDump dump(DumpTasks(own), TypeParam::kBackend);
      EXPECT_EQ(dump["dumper"].state, "runs") << dump.text();
      EXPECT_GT(dump["dumper"].frames.size(), 2u) << dump.text();
    });
    dumper.Await(io);
  });
}

// What needs the kernel or threads of the host program.
template <class Config>
class KernelDumpTest : public DumpTest<Config> {};
TYPED_TEST_SUITE(KernelDumpTest, testing::KernelBackends,
                 testing::BackendNames);

TYPED_TEST(KernelDumpTest, AnyThreadMayDumpWhileTasksComeAndGo) {
  using B = typename TypeParam::Io;
  const std::unique_ptr<B> io = testing::MakeIo<TypeParam>();
  std::atomic<bool> stop{false};
  std::thread dumper([&] {
    for (int i = 0; i < 10; ++i) {
      const ParsedDump dump(DumpTasks(*io), TypeParam::kBackend);
      if (::testing::Test::HasFailure()) break;
    }
    stop = true;
  });
  testing::RunOnInstance(*io, [&stop](B& own) {
    while (!stop) {
      TaskGroup<B> group(own, {.max_concurrent = 8});
      for (int i = 0; i < 20; ++i) {
        group.Spawn([](B& task) {
          task.Yield();
          (void)Sleep(task, 10us);
          (void)Async(task, [](B& last) { (void)Sleep(last, 1h); });
        });
      }
      EXPECT_TRUE(group.Await(own).ok());
    }
  });
  dumper.join();
}

TYPED_TEST(KernelDumpTest, InstanceIsDumpedByATaskOfAnother) {
  using B = typename TypeParam::Io;
  const std::unique_ptr<B> one = testing::MakeIo<TypeParam>();
  const std::unique_ptr<B> other = testing::MakeIo<TypeParam>();
  // Both at once: the workers of each wait for those of the other.
  std::atomic<int> both{0};
  const auto dump = [&both](B& io, B& dumped, const std::string& name) {
    Future<void, B> task = Async(io, {.name = name}, [&](B& own) {
      ++both;
      testing::YieldUntil(own, [&both] { return both >= 2; });
      const ParsedDump found(DumpTasks(dumped), TypeParam::kBackend);
      EXPECT_FALSE(found.has(name)) << found.text();
      ++both;
      testing::YieldUntil(own, [&both] { return both == 4; });
    });
    task.Await(io);
  };
  std::thread first([&] {
    testing::RunOnInstance(*one, [&](B& io) { dump(io, *other, "first"); });
  });
  testing::RunOnInstance(*other, [&](B& io) { dump(io, *one, "second"); });
  first.join();
}

}  // namespace
}  // namespace weft
