// An Io without a kernel: the test says what each operation returns.
//
//   ScriptedIo io({3, -ECONNRESET});         // the first one, the second one
//   ScriptedIo io([](const Operation& operation) -> int64_t { ... });
#ifndef WEFT_TESTS_NET_SCRIPTED_IO_H_
#define WEFT_TESTS_NET_SCRIPTED_IO_H_

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <functional>
#include <initializer_list>
#include <utility>
#include <vector>

#include "weft/runtime/io.h"

namespace weft::net {

class ScriptedIo final : public Io {
 public:
  using Answer = std::function<int64_t(const Operation&)>;

  // What the list does not foresee is answered with ENOSYS.
  ScriptedIo(std::initializer_list<int64_t> results) : results_(results) {}
  explicit ScriptedIo(Answer answer) : answer_(std::move(answer)) {}

  // Whether all results of the list were used.
  bool done() const { return results_.empty(); }
  // What was asked for, in order. What the operations point at is gone.
  const std::vector<Operation>& performed() const { return performed_; }

  int64_t Perform(const Operation& operation) override {
    performed_.push_back(operation);
    if (answer_) return answer_(operation);
    if (results_.empty()) return -ENOSYS;
    const int64_t result = results_.front();
    results_.pop_front();
    return result;
  }

  // Sockets use nothing else.
  absl::Status Start(Task&) override { std::abort(); }
  void Interrupt(Task&) override { std::abort(); }
  void Yield() override { std::abort(); }
  Task& CurrentTask(const char*) override { std::abort(); }
  WakeReason FutexWait(const std::atomic<uint32_t>&, uint32_t,
                       const FutexWaitOptions&) override {
    std::abort();
  }
  uint32_t FutexWake(const std::atomic<uint32_t>&, uint32_t) override {
    std::abort();
  }
  absl::Status SleepUntil(MonotonicTime) override { std::abort(); }
  MonotonicTime Now() const override { std::abort(); }
  WallTime WallNow() const override { std::abort(); }
  uint64_t Random() override { std::abort(); }
  Description Describe() const override { std::abort(); }

 private:
  const Answer answer_;
  std::deque<int64_t> results_;
  std::vector<Operation> performed_;
};

}  // namespace weft::net

#endif  // WEFT_TESTS_NET_SCRIPTED_IO_H_
