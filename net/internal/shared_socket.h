// SharedSocket: a socket that some tasks use while another may close it.
//
//   const SharedSocket::Turn turn(socket, SharedSocket::kRead);
//   const int64_t result =
//       turn.Outcome(io.Perform(op::Recv{.fd = turn.fd(), ...}));
//
// Who closes the socket marks it, has the kernel end the calls that wait, and
// whoever leaves last gives the number back. So a call that has begun, in a
// queue or in the kernel, never meets a number that belongs to somebody else.
//
// **Threads.** All calls from any thread, except that moving, releasing and
// destroying a socket that is in use is misuse.
#ifndef WEFT_NET_INTERNAL_SHARED_SOCKET_H_
#define WEFT_NET_INTERNAL_SHARED_SOCKET_H_

#include <atomic>
#include <cstdint>

#include "weft/net/descriptor.h"

namespace weft::net::internal {

class SharedSocket {
 public:
  // What a call does with the socket. One task may read and one may write at a
  // time, which is checked; any number, up to 2^32 - 1, may do other things.
  enum Use : uint64_t {
    kRead = uint64_t{1} << 8,
    kWrite = uint64_t{1} << 16,
    kOther = uint64_t{1} << 32,
  };

  explicit SharedSocket(Descriptor descriptor) : fd_(descriptor.Release()) {}
  SharedSocket(SharedSocket&& other) noexcept;
  SharedSocket& operator=(SharedSocket&& other) noexcept;
  ~SharedSocket();

  // A call, from its beginning to its end.
  class Turn {
   public:
    Turn(const SharedSocket& socket, Use use) : socket_(socket), use_(use) {
      socket_.Enter(use_);
    }
    ~Turn() { socket_.Leave(use_); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    // The descriptor, or -1 once this side has ended what the call does. It
    // stays open until the turn ends.
    int fd() const { return ended() ? -1 : socket_.fd_; }

    // `result`, or -ESHUTDOWN if the call failed, or a read met the end of the
    // stream, because this side ended it.
    int64_t Outcome(int64_t result) const {
      const bool moved = use_ == kRead ? result > 0 : result >= 0;
      return moved || !ended() ? result : OutcomeOfEnded(result);
    }

   private:
    bool ended() const;

    const SharedSocket& socket_;
    const Use use_;
  };

  // -1 if it is closed, released or moved from.
  int fd() const;
  Descriptor Release();

  // Ends the calls that wait and makes later ones fail; does not wait for
  // their end. A socket that is in use, or becomes so, may be closed at any
  // time, and more than once.
  void Close();

  // shutdown(2); ends calls like Close, for the directions in `how`.
  int64_t Shutdown(int how);

 private:
  // The state, besides the numbers of uses: what this side has ended, and
  // that somebody gives the number back.
  enum Flag : uint64_t {
    kReadEnded = 1 << 0,
    kWriteEnded = 1 << 1,
    kClosed = 1 << 2,
    kGivenBack = 1 << 3,
  };
  static constexpr uint64_t kFlags = 0xff;
  static constexpr uint64_t kReaders = uint64_t{0xff} << 8;
  static constexpr uint64_t kWriters = uint64_t{0xff} << 16;

  static int64_t OutcomeOfEnded(int64_t result);
  [[noreturn]] static void SecondUser(Use use);

  void Enter(Use use) const {
    // Acquire: sees what the reader or writer before did. Partner: Leave.
    const uint64_t before = state_.fetch_add(use, std::memory_order_acquire);
    if (use == kRead && (before & kReaders) != 0) SecondUser(use);
    if (use == kWrite && (before & kWriters) != 0) SecondUser(use);
  }
  void Leave(Use use) const {
    const uint64_t before = state_.fetch_sub(use, std::memory_order_acq_rel);
    if ((before & kClosed) != 0) LeaveClosed(before - use);
  }
  void LeaveClosed(uint64_t state) const;
  // Ends the program unless nobody uses the socket.
  void CheckUnused(const char* done) const;

  // Every access that changes it is one read-modify-write, so that all agree
  // on who came before the close and on who is the last to leave.
  mutable std::atomic<uint64_t> state_{0};
  // Written only while the socket is not in use.
  int fd_ = -1;
};

inline bool SharedSocket::Turn::ended() const {
  const uint64_t ends = use_ == kRead    ? kClosed | kReadEnded
                        : use_ == kWrite ? kClosed | kWriteEnded
                                         : uint64_t{kClosed};
  // Acquire: partner of the fetch_or in Close and Shutdown, which comes before
  // the system call that ends this one.
  return (socket_.state_.load(std::memory_order_acquire) & ends) != 0;
}

}  // namespace weft::net::internal

#endif  // WEFT_NET_INTERNAL_SHARED_SOCKET_H_
