// Descriptor: owns a file descriptor and closes it.
//
//   net::Descriptor end(pipe_ends[0]);
//   read(end.get(), buffer, sizeof buffer);
#ifndef WEFT_NET_DESCRIPTOR_H_
#define WEFT_NET_DESCRIPTOR_H_

#include <utility>

namespace weft::net {

class Descriptor {
 public:
  Descriptor() = default;
  // Takes over `fd`; -1 is nothing.
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.Release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      Close();
      fd_ = other.Release();
    }
    return *this;
  }
  ~Descriptor() { Close(); }

  // -1 if it owns nothing.
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

  // Gives the descriptor away; the caller closes it.
  [[nodiscard]] int Release() { return std::exchange(fd_, -1); }

  void Close();

 private:
  int fd_ = -1;
};

}  // namespace weft::net

#endif  // WEFT_NET_DESCRIPTOR_H_
