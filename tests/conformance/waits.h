// Calls that block for ever, one of each kind, for tests of what ends them.
#ifndef WEFT_TESTS_CONFORMANCE_WAITS_H_
#define WEFT_TESTS_CONFORMANCE_WAITS_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "weft/runtime/future.h"
#include "weft/runtime/io.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/status.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/barrier.h"
#include "weft/sync/broadcast.h"
#include "weft/sync/channel.h"
#include "weft/sync/condition.h"
#include "weft/sync/event.h"
#include "weft/sync/latch.h"
#include "weft/sync/mutex.h"
#include "weft/sync/once.h"
#include "weft/sync/select.h"
#include "weft/sync/semaphore.h"
#include "weft/sync/shared_mutex.h"
#include "weft/tests/conformance/descriptors.h"

namespace weft::testing {

// Long enough to never pass in a test that works.
inline constexpr Duration kFarAway = std::chrono::hours(1);

// Any number of tasks may make the call at once.
template <Backend B>
struct Wait {
  const char* name;
  // CANCELLED or DEADLINE_EXCEEDED once the scope of the caller gives up.
  std::function<absl::Status(B&)> call;
};

// Calls on tasks and primitives. Made and destroyed by one task, which makes
// none of the calls itself.
template <Backend B>
class TaskWaits {
 public:
  explicit TaskWaits(B& io) ABSL_NO_THREAD_SAFETY_ANALYSIS : io_(io) {
    EXPECT_TRUE(full_.TrySend(io, 0).ok());
    shared_mutex_.Lock(io);
  }
  ~TaskWaits() ABSL_NO_THREAD_SAFETY_ANALYSIS { shared_mutex_.Unlock(io_); }

  std::vector<Wait<B>> All() {
    std::vector<Wait<B>> all = OnTasks();
    for (Wait<B>& wait : OnQueues()) all.push_back(std::move(wait));
    for (Wait<B>& wait : OnMeetings()) all.push_back(std::move(wait));
    return all;
  }

 private:
  std::vector<Wait<B>> OnTasks() {
    return {
        {"sleep", [](B& io) { return Sleep(io, kFarAway); }},
        {"sleep for ever", [](B& io) { return io.SleepUntil(kNever); }},
        {"futex",
         [this](B& io) {
           EXPECT_EQ(io.FutexWait(word_, 0, {}), WakeReason::kInterrupted);
           return CheckCancelled(io);
         }},
        {"await a future",
         [](B& io) {
           auto sleeper =
               Async(io, [](B& own) { return Sleep(own, kFarAway); });
           EXPECT_TRUE(absl::IsCancelled(sleeper.Await(io)));
           return CheckCancelled(io);
         }},
        {"await a group",
         [](B& io) {
           TaskGroup<B> group(io);
           group.Spawn([](B& own) { (void)Sleep(own, kFarAway); });
           return group.Await(io);
         }},
        {"spawn into a full group",
         [](B& io) {
           TaskGroup<B> group(io, {.max_concurrent = 1});
           const auto sleep = [](B& own) { (void)Sleep(own, kFarAway); };
           // In a scope that has given up, the first is refused already.
           EXPECT_FALSE(group.Spawn(sleep) && group.Spawn(sleep));
           return group.Await(io);
         }},
        {"select",
         [this](B& io) {
           const auto ignore = [](auto&&) {};
           int value = 0;
           return Select(io, OnReceive(empty_, ignore),
                         OnSend(full_, std::move(value), ignore),
                         OnEvent(event_), After(kFarAway))
               .status();
         }},
    };
  }

  std::vector<Wait<B>> OnQueues() {
    return {
        {"receive", [this](B& io) { return empty_.Receive(io).status(); }},
        {"send", [this](B& io) { return full_.Send(io, 1); }},
        {"send with nobody there",
         [this](B& io) { return rendezvous_.Send(io, 1); }},
        {"receive a broadcast",
         [this](B& io) {
           BroadcastReceiver<int, B> receiver(broadcast_);
           return receiver.Receive(io).status();
         }},
        {"acquire", [this](B& io) { return semaphore_.Acquire(io); }},
        {"acquire for a time",
         [this](B& io) { return semaphore_.AcquireFor(io, kFarAway); }},
        {"lock shared",
         [this](B& io) ABSL_NO_THREAD_SAFETY_ANALYSIS {
           EXPECT_FALSE(shared_mutex_.LockSharedUnlessCancelled(io));
           return CheckCancelled(io);
         }},
        {"lock exclusively",
         [this](B& io) ABSL_NO_THREAD_SAFETY_ANALYSIS {
           EXPECT_FALSE(shared_mutex_.LockUnlessCancelled(io));
           return CheckCancelled(io);
         }},
    };
  }

  std::vector<Wait<B>> OnMeetings() {
    return {
        {"wait for an event", [this](B& io) { return event_.Wait(io); }},
        {"wait for an event for a time",
         [this](B& io) { return event_.WaitFor(io, kFarAway); }},
        {"wait for a condition",
         [this](B& io) {
           MutexLock lock(mutex_, io);
           return condition_.Wait(io, mutex_);
         }},
        {"wait for a predicate",
         [this](B& io) {
           MutexLock lock(mutex_, io);
           return condition_.WaitFor(io, mutex_, kFarAway,
                                     [] { return false; });
         }},
        {"wait at a latch", [this](B& io) { return latch_.Wait(io); }},
        {"wait in a barrier", [this](B& io) { return barrier_.Wait(io); }},
        {"run once", [](B& io) { return RunOnce(io); }},
    };
  }

  // Waits for another task that is inside the function of a Once.
  static absl::Status RunOnce(B& io) {
    Once<B> once;
    Event<B> runs;
    Event<B> may_end;
    auto runner = Async(io, [&](B& own) {
      return once.Run(own, [&](B& inside) {
        runs.Set(inside);
        return may_end.Wait(inside);
      });
    });
    {
      const Shield shield(io);
      EXPECT_TRUE(runs.Wait(io).ok());
    }
    absl::Status status = once.Run(io, [] { ADD_FAILURE(); });
    may_end.Set(io);
    const Shield shield(io);
    EXPECT_TRUE(runner.Await(io).ok());
    return status;
  }

  B& io_;
  const std::atomic<uint32_t> word_{0};
  Channel<int, B> empty_{1};
  Channel<int, B> full_{1};
  Channel<int, B> rendezvous_{0};
  Broadcast<int, B> broadcast_{1};
  Semaphore<B> semaphore_{0, 1};
  SharedMutex<B> shared_mutex_;
  Event<B> event_;
  Mutex<B> mutex_;
  Condition<B> condition_;
  Latch<B> latch_{1};
  Barrier<B> barrier_{1000};
};

// Writes until no byte more fits.
inline void Fill(const Descriptor& descriptor) {
  const int mode = fcntl(descriptor.fd(), F_GETFL);
  ASSERT_EQ(fcntl(descriptor.fd(), F_SETFL, mode | O_NONBLOCK), 0);
  const std::string zeros(4096, '\0');
  for (size_t size = zeros.size(); size > 0;) {
    if (write(descriptor.fd(), zeros.data(), size) < 0) size /= 2;
  }
  ASSERT_EQ(fcntl(descriptor.fd(), F_SETFL, mode), 0);
}

// A listener whose queue is full: who connects to it now has to wait.
struct FullListener {
  FullListener() : listener(/*backlog=*/0) {
    for (;;) {
      Descriptor client = TcpSocket();
      EXPECT_EQ(fcntl(client.fd(), F_SETFL, O_NONBLOCK), 0);
      const op::Connect connection = listener.ConnectFrom(client);
      const int connected =
          connect(client.fd(), connection.address, connection.address_length);
      EXPECT_TRUE(connected == 0 || errno == EINPROGRESS) << errno;
      pollfd outcome = {.fd = client.fd(), .events = POLLOUT, .revents = 0};
      // A connection that is not there after that will not come.
      const bool waits = connected < 0 && poll(&outcome, 1, 50) == 0;
      clients.push_back(std::move(client));
      if (waits) return;
    }
  }

  Listener listener;
  std::vector<Descriptor> clients;
};

// Operations on descriptors.
template <Backend B>
class KernelWaits {
 public:
  KernelWaits() {
    Fill(full_pipe_.write);
    Fill(full_pair_.first);
    message_.msg_iov = &part_;
    message_.msg_iovlen = 1;
  }

  std::vector<Wait<B>> All() {
    const auto perform = [](const char* name, Operation operation) {
      return Wait<B>{name, [operation](B& io) {
                       return internal::ResultStatus(io.Perform(operation),
                                                     Name(operation));
                     }};
    };
    const int quiet = quiet_pair_.first.fd();
    const int full = full_pair_.first.fd();
    return {
        {"connect",
         [this](B& io) {
           const Descriptor client = TcpSocket();
           return internal::ResultStatus(
               io.Perform(full_listener_.listener.ConnectFrom(client)),
               "connect");
         }},
        perform("accept", op::Accept{.fd = quiet_listener_.fd()}),
        perform("recv", op::Recv{.fd = quiet, .data = &byte_, .size = 1}),
        perform("recv, probably empty", op::Recv{.fd = quiet,
                                                 .data = &byte_,
                                                 .size = 1,
                                                 .probably_empty = true}),
        perform("recvmsg", op::RecvMessage{.fd = quiet, .message = &message_}),
        perform("send", op::Send{.fd = full, .data = &byte_, .size = 1}),
        perform("sendmsg", op::SendMessage{.fd = full, .message = &message_}),
        perform(
            "read",
            op::ReadAt{.fd = quiet_pipe_.read.fd(), .data = &byte_, .size = 1}),
        perform("write",
                op::WriteAt{
                    .fd = full_pipe_.write.fd(), .data = &byte_, .size = 1}),
        perform("poll",
                op::Poll{.fd = quiet_pipe_.read.fd(), .events = POLLIN}),
    };
  }

 private:
  FullListener full_listener_;
  Listener quiet_listener_;
  SocketPair quiet_pair_;
  SocketPair full_pair_;
  Pipe quiet_pipe_;
  Pipe full_pipe_;
  char byte_ = 0;
  iovec part_ = {.iov_base = &byte_, .iov_len = 1};
  msghdr message_ = {};
};

}  // namespace weft::testing

#endif  // WEFT_TESTS_CONFORMANCE_WAITS_H_
