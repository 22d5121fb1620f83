// Watcher: a thread beside a backend, that writes dumps and may look now and
// then whether all is well.
#ifndef WEFT_RUNTIME_INTERNAL_WATCHER_H_
#define WEFT_RUNTIME_INTERNAL_WATCHER_H_

#include <atomic>
#include <cstdint>
#include <thread>

#include "absl/status/status.h"
#include "weft/runtime/clock.h"
#include "weft/runtime/io.h"

namespace weft::internal {

class Watcher {
 public:
  struct Options {
    int dump_signal = 0;    // 0: none
    Duration look_every{};  // 0: never
  };

  explicit Watcher(Io& io) : io_(io) {}
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;
  virtual ~Watcher();

  // Starts the thread, if the options need one. RESOURCE_EXHAUSTED if there is
  // none, or as DumpSignal::Add. Once.
  absl::Status Start(const Options& options);
  // Stops and joins it. A class that overrides Look calls it when it ends.
  void Stop();

  // Has the thread write a dump to standard error. Any thread, and signal
  // handlers.
  void AskForDump();
  // Has it look again, if it does not do so by itself. Any thread; costs a load
  // if it does.
  void Wake() {
    // Partner of the store in Serve.
    if (asleep_.load(std::memory_order_seq_cst)) [[unlikely]]
      WakeUp();
  }

 protected:
  // On the thread. False if there is nothing to look for until Wake.
  virtual bool Look() { return false; }
  // Whether Look has anything to look for, without looking. Any time.
  virtual bool HasToLook() { return false; }

  Io& io() const { return io_; }

 private:
  void Serve();
  void WakeUp();
  void Ring();
  // Until the bell has rung since `seen` or `span` has passed; for ever with 0.
  void AwaitBell(uint32_t seen, Duration span);

  Io& io_;
  Options options_;
  // Partner of the futex system calls in Ring and AwaitBell.
  std::atomic<uint32_t> bell_{0};
  std::atomic<bool> dump_asked_{false};
  std::atomic<bool> asleep_{false};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_INTERNAL_WATCHER_H_
