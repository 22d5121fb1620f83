#include "weft/net/internal/shared_socket.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "weft/runtime/internal/check.h"
#include "weft/runtime/internal/sockets.h"

namespace weft::net::internal {

using weft::internal::Misuse;
using weft::internal::SocketsOf;

SharedSocket::SharedSocket(SharedSocket&& other) noexcept {
  other.CheckUnused("moved");
  state_.store(other.state_.exchange(0, std::memory_order_relaxed),
               std::memory_order_relaxed);
  fd_ = std::exchange(other.fd_, -1);
}

SharedSocket& SharedSocket::operator=(SharedSocket&& other) noexcept {
  if (this == &other) return *this;
  CheckUnused("assigned to");
  other.CheckUnused("moved");
  Close();
  state_.store(other.state_.exchange(0, std::memory_order_relaxed),
               std::memory_order_relaxed);
  fd_ = std::exchange(other.fd_, -1);
  return *this;
}

SharedSocket::~SharedSocket() {
  CheckUnused("destroyed");
  Close();
}

int SharedSocket::fd() const {
  const bool closed = (state_.load(std::memory_order_acquire) & kClosed) != 0;
  return closed ? -1 : fd_;
}

Descriptor SharedSocket::Release() {
  CheckUnused("released");
  Descriptor released(fd());
  fd_ = -1;
  return released;
}

void SharedSocket::Close() {
  if (fd_ < 0) return;
  // In a turn of its own: else the calls that it ends could give the number
  // back before the shutdown.
  const Turn turn(*this, kOther);
  // Release: partner of Turn::ended.
  const uint64_t before = state_.fetch_or(kClosed, std::memory_order_acq_rel);
  if ((before & kClosed) != 0 || (before & ~kFlags) == kOther) return;
  // The kernel remembers it, so a call that has begun but not yet reached the
  // kernel does not wait there either.
  (void)SocketsOf(fd_).Shutdown(fd_, SHUT_RDWR);
}

int64_t SharedSocket::Shutdown(int how) {
  const Turn turn(*this, kOther);
  const int fd = turn.fd();
  const uint64_t ends = how == SHUT_RD   ? uint64_t{kReadEnded}
                        : how == SHUT_WR ? uint64_t{kWriteEnded}
                                         : kReadEnded | kWriteEnded;
  // Release: partner of Turn::ended.
  state_.fetch_or(ends, std::memory_order_acq_rel);
  return turn.Outcome(SocketsOf(fd).Shutdown(fd, how));
}

int64_t SharedSocket::OutcomeOfEnded(int64_t result) {
  // A cancel or a deadline is reported whatever else happens.
  const bool interrupted = result == -ECANCELED || result == -ETIME;
  return interrupted ? result : -ESHUTDOWN;
}

void SharedSocket::LeaveClosed(uint64_t state) const {
  if ((state & ~kFlags) != 0) return;
  // All who came before the close have left. Those who came later have no
  // descriptor, but may find themselves the last, too.
  const uint64_t before =
      state_.fetch_or(kGivenBack, std::memory_order_acq_rel);
  if ((before & kGivenBack) == 0) (void)SocketsOf(fd_).Close(fd_);
}

void SharedSocket::SecondUser(Use use) {
  Misuse(absl::StrCat("two tasks ", use == kRead ? "read" : "write",
                      " one TcpStream at the same time; a stream has one "
                      "reader and one writer at a time, so guard it with a "
                      "Mutex or let one task do it for all"));
}

void SharedSocket::CheckUnused(const char* done) const {
  const uint64_t state = state_.load(std::memory_order_acquire);
  if ((state & ~kFlags) == 0) return;
  const char* use = (state & kReaders) != 0   ? "reads from it"
                    : (state & kWriters) != 0 ? "writes to it"
                                              : "uses it";
  Misuse(absl::StrCat("a stream or listener was ", done, " while a task ", use,
                      "; close it first and wait for the task"));
}

}  // namespace weft::net::internal
