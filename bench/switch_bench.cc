// The fiber switch beside the bare jump underneath, both counted one way.

#include <benchmark/benchmark.h>

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "weft/backends/evented/evented.h"
#include "weft/runtime/fiber/context.h"
#include "weft/runtime/future.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/channel.h"
#include "weft/sync/mutex.h"

namespace {

namespace context = boost::context::detail;

void JumpBackForEver(context::transfer_t transfer) {
  for (;;) transfer = context::jump_fcontext(transfer.fctx, nullptr);
}

// The limit: there and back is two jumps, and two are counted.
void BareJump(benchmark::State& state) {
  std::vector<char> stack(64 * 1024);
  context::transfer_t transfer{
      context::make_fcontext(stack.data() + stack.size(), stack.size(),
                             JumpBackForEver),
      nullptr};
  for (auto _ : state) {
    transfer = context::jump_fcontext(transfer.fctx, nullptr);
  }
  state.SetItemsProcessed(2 * state.iterations());
}
BENCHMARK(BareJump);

// A flow of control of which a switch keeps its registers and nothing else; the
// rest is as in weft's Context.
struct RegistersOnly {
  static context::transfer_t Land(context::transfer_t transfer) {
    return transfer;
  }
  static void Start(context::transfer_t transfer) {
    auto& from = *static_cast<RegistersOnly*>(transfer.data);
    from.stopped_at = transfer.fctx;
    RegistersOnly& self = *from.target;
    self.started = true;
    for (;;) self.SwitchTo(from);
  }
  void SwitchTo(RegistersOnly& to) {
    target = &to;
    const context::transfer_t transfer =
        to.started ? context::ontop_fcontext(to.stopped_at, this, &Land)
                   : context::jump_fcontext(to.stopped_at, this);
    static_cast<RegistersOnly*>(transfer.data)->stopped_at = transfer.fctx;
  }

  context::fcontext_t stopped_at = nullptr;
  bool started = false;
  RegistersOnly* target = nullptr;
};

void SwitchRegistersOnly(benchmark::State& state) {
  std::vector<char> stack(64 * 1024);
  RegistersOnly thread{.started = true};
  RegistersOnly other{
      .stopped_at = context::make_fcontext(
          stack.data() + stack.size(), stack.size(), &RegistersOnly::Start)};
  for (auto _ : state) thread.SwitchTo(other);
  state.SetItemsProcessed(2 * state.iterations());
}
BENCHMARK(SwitchRegistersOnly)->Name("RegistersOnly");

// The limit is the one before: what errno, the state of exceptions and the
// hooks of sanitizers add. Without the scheduler.
void ContextSwitch(benchmark::State& state) {
  using weft::internal::Context;
  struct Flows {
    Context thread;
    std::vector<std::byte> stack = std::vector<std::byte>(64 * 1024);
    Context other{stack.data(), stack.size(),
                  [](void* argument) {
                    auto& flows = *static_cast<Flows*>(argument);
                    for (;;) flows.other.SwitchTo(flows.thread);
                  },
                  this};
  } flows;
  for (auto _ : state) flows.thread.SwitchTo(flows.other);
  state.SetItemsProcessed(2 * state.iterations());
}
BENCHMARK(ContextSwitch);

// Runs a benchmark body as a task of an Evented with one worker, so that the
// CPU time Google Benchmark sees is that of the worker.
template <class Body>
void OnOneWorker(benchmark::State& state, Body body) {
  auto io = weft::Evented::Create({.workers = 1});
  if (!io.ok()) {
    state.SkipWithError(std::string(io.status().message()).c_str());
    return;
  }
  const absl::Status status = (*io)->Run(body);
  if (!status.ok()) {
    state.SkipWithError(std::string(status.message()).c_str());
  }
}

constexpr int kYields = 1000;

void YieldOften(weft::Io& io) {
  for (int i = 0; i < kYields; ++i) io.Yield();
}

// Two fibers of one worker that yield to each other, scheduler included. Both
// run the same code, as the fibers of a service do.
void FiberSwitch(benchmark::State& state) {
  OnOneWorker(state, [&state](weft::Evented& io) {
    while (state.KeepRunningBatch(kYields)) {
      auto first = weft::Async(io, YieldOften);
      auto second = weft::Async(io, YieldOften);
      first.Await(io);
      second.Await(io);
    }
  });
  state.SetItemsProcessed(2 * state.iterations());
}
BENCHMARK(FiberSwitch);

// The same between two places in the code, where the processor mispredicts the
// return from the switch.
void FiberSwitchElsewhere(benchmark::State& state) {
  OnOneWorker(state, [&state](weft::Evented& io) {
    bool stop = false;
    auto other = weft::Async(io, [&stop](weft::Evented& own) {
      while (!stop) own.Yield();
    });
    for (auto _ : state) io.Yield();
    stop = true;
    other.Await(io);
  });
  state.SetItemsProcessed(2 * state.iterations());
}
BENCHMARK(FiberSwitchElsewhere);

void SpawnAndAwait(benchmark::State& state) {
  OnOneWorker(state, [&state](weft::Evented& io) {
    for (auto _ : state) {
      weft::Async(io, [] {}).Await(io);
    }
  });
}
BENCHMARK(SpawnAndAwait);

void MutexLockUnlock(benchmark::State& state) {
  OnOneWorker(state, [&state](weft::Evented& io) {
    weft::Mutex<weft::Evented> mutex;
    for (auto _ : state) {
      mutex.Lock(io);
      mutex.Unlock(io);
    }
  });
}
BENCHMARK(MutexLockUnlock);

// One value there and one back; four parks or wakes.
void ChannelPingPong(benchmark::State& state) {
  OnOneWorker(state, [&state](weft::Evented& io) {
    weft::Channel<int, weft::Evented> there(0);
    weft::Channel<int, weft::Evented> back(0);
    auto other = weft::Async(io, [&](weft::Evented& own) {
      for (;;) {
        auto value = there.Receive(own);
        if (!value.ok() || !back.Send(own, *std::move(value)).ok()) return;
      }
    });
    for (auto _ : state) {
      (void)there.Send(io, 1);
      benchmark::DoNotOptimize(back.Receive(io));
    }
    there.Close(io);
    other.Await(io);
  });
}
BENCHMARK(ChannelPingPong);

}  // namespace

BENCHMARK_MAIN();
