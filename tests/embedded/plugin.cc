#include "weft/tests/embedded/plugin.h"

#include <atomic>
#include <chrono>
#include <memory>

#include "absl/status/statusor.h"
#include "weft/backends/evented/evented.h"
#include "weft/backends/threaded/threaded.h"
#include "weft/runtime/future.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/mutex.h"

// A debugger stops here.
extern "C" [[gnu::noinline]] void weft_plugin_task_runs() { asm volatile(""); }

namespace {

template <class B>
absl::Status Count(B& io, int tasks, int& sum) {
  weft::Mutex<B> mutex;
  weft::TaskGroup<B> group(io);
  for (int i = 0; i < tasks; ++i) {
    group.Spawn([&](B& own) {
      weft_plugin_task_runs();
      const absl::Status slept = weft::Sleep(own, std::chrono::milliseconds(1));
      weft::MutexLock lock(mutex, own);
      ++sum;
      return slept;
    });
  }
  return group.Await(io);
}

template <class B>
bool RunOn(const weft::Options& options, int tasks, int& sum) {
  auto io = B::Create(options);
  return io.ok() &&
         (*io)->Run([&](B& own) { return Count(own, tasks, sum); }).ok();
}

}  // namespace

extern "C" {

[[gnu::visibility("default")]] int weft_plugin_run(int tasks) {
  int sum = 0;
  const bool ok = RunOn<weft::Threaded>({}, tasks, sum) &&
                  RunOn<weft::Evented>({.workers = 2}, tasks, sum);
  return ok ? sum : -1;
}

[[gnu::visibility("default")]] void weft_plugin_keep(bool keep) {
  static std::unique_ptr<weft::Evented> kept;
  kept = nullptr;
  if (!keep) return;
  weft::Options options;
  options.workers = 1;
  options.report_overflow = true;
  kept = weft::Evented::Create(options).value();
}

[[gnu::visibility("default")]] int weft_plugin_use(void* evented) {
  auto& io = *static_cast<weft::Evented*>(evented);
  return weft::Async(io, [] { return 42; }).Await(io);
}
}
