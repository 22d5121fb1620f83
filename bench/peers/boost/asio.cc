// The jobs of bench/cancellation_weft.cc on Boost.Asio: coroutines on one
// thread, deadlines by a steady_timer that cancels the socket.

#include <time.h>

#include <boost/asio.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "weft/bench/peers/boost/peer.h"

namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using Socket = asio::local::stream_protocol::socket;
using asio::awaitable;
using asio::use_awaitable;

constexpr uint64_t kBatch = 4096;

double CpuNanoseconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 +
         static_cast<double>(now.tv_nsec);
}

struct Pair {
  explicit Pair(asio::io_context& context) : reader(context), writer(context) {
    asio::local::connect_pair(reader, writer);
  }
  Socket reader;
  Socket writer;
};

awaitable<void> Deadlines(asio::io_context& context,
                          const peer::Settings& settings) {
  Pair pair(context);
  asio::steady_timer timer(context);
  const std::vector<char> data(kBatch);
  char byte;
  std::vector<double> plain, scoped, added;
  for (uint64_t done = 0; done < settings.count; done += kBatch) {
    double spent[2];
    for (const bool with_deadline : {false, true}) {
      asio::write(pair.writer, asio::buffer(data));
      const double start = CpuNanoseconds();
      for (uint64_t i = 0; i < kBatch; ++i) {
        if (with_deadline) {
          timer.expires_after(std::chrono::seconds(10));
          timer.async_wait([&pair](boost::system::error_code error) {
            if (!error) pair.reader.cancel();
          });
        }
        co_await pair.reader.async_read_some(asio::buffer(&byte, 1),
                                             use_awaitable);
        if (with_deadline) timer.cancel();
      }
      spent[with_deadline] = (CpuNanoseconds() - start) / kBatch;
    }
    plain.push_back(spent[0]);
    scoped.push_back(spent[1]);
    added.push_back(spent[1] - spent[0]);
  }
  std::printf(
      "{\"job\": \"deadline\", \"read_ns\": %.1f, \"scoped_read_ns\": %.1f, "
      "\"added_ns\": %.1f}\n",
      peer::Median(plain), peer::Median(scoped), peer::Median(added));
}

struct Sleeping {
  uint64_t before = peer::Memory();
  uint64_t started = 0;
  uint64_t ended = 0;
  double bytes_per_task = 0;
};

awaitable<void> Sleeper(asio::io_context& context,
                        const peer::Settings& settings, Sleeping& sleeping) {
  if (++sleeping.started == settings.count) {
    sleeping.bytes_per_task =
        static_cast<double>(peer::Memory() - sleeping.before) /
        static_cast<double>(settings.count - sleeping.ended);
  }
  asio::steady_timer timer(context, std::chrono::seconds(settings.seconds));
  co_await timer.async_wait(use_awaitable);
  ++sleeping.ended;
}

// `block` waits for ever; `cancel` ends that, on the thread of the context.
awaitable<void> Cancels(asio::io_context& context,
                        const peer::Settings& settings,
                        std::function<awaitable<void>()> block,
                        std::function<void()> cancel) {
  std::vector<double> latency_us;
  for (uint64_t i = 0; i < settings.count; ++i) {
    Clock::time_point cancelled_at;
    std::thread canceller([&] {
      std::this_thread::sleep_for(std::chrono::microseconds(100));
      cancelled_at = Clock::now();
      asio::post(context, cancel);
    });
    try {
      co_await block();
    } catch (const boost::system::system_error&) {
      // operation_aborted
    }
    const Clock::time_point returned = Clock::now();
    canceller.join();
    const std::chrono::duration<double, std::micro> span =
        returned - cancelled_at;
    latency_us.push_back(span.count());
  }
  peer::PrintCancels(settings, latency_us);
}

}  // namespace

int main(int argc, char** argv) {
  const peer::Settings settings = peer::Parse(argc, argv);
  asio::io_context context(1);
  Pair pair(context);
  asio::steady_timer timer(context);
  Sleeping sleeping;
  char byte;
  const auto spawn = [&](awaitable<void> coroutine) {
    asio::co_spawn(context, std::move(coroutine), asio::detached);
  };
  const Clock::time_point start = Clock::now();
  if (settings.job == "deadline") {
    spawn(Deadlines(context, settings));
  } else if (settings.job == "sleepers") {
    for (uint64_t i = 0; i < settings.count; ++i) {
      spawn(Sleeper(context, settings, sleeping));
    }
  } else if (settings.job == "cancel-read") {
    spawn(Cancels(
        context, settings,
        [&]() -> awaitable<void> {
          co_await pair.reader.async_read_some(asio::buffer(&byte, 1),
                                               use_awaitable);
        },
        [&] { pair.reader.cancel(); }));
  } else if (settings.job == "cancel-sleep") {
    spawn(Cancels(
        context, settings,
        [&]() -> awaitable<void> {
          timer.expires_after(std::chrono::hours(1));
          co_await timer.async_wait(use_awaitable);
        },
        [&] { timer.cancel(); }));
  } else {
    return peer::NoSuchJob(settings);
  }
  context.run();
  if (settings.job == "sleepers") {
    peer::PrintSleepers(start, sleeping.bytes_per_task);
  }
  return EXIT_SUCCESS;
}
