// Operations on pipes, files and sockets, on every backend.
#include "weft/runtime/operation.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "weft/runtime/future.h"
#include "weft/runtime/io.h"
#include "weft/runtime/task_group.h"
#include "weft/tests/conformance/backends.h"
#include "weft/tests/conformance/descriptors.h"
#include "weft/tests/conformance/limits.h"
#include "weft/tests/conformance/wait_watch.h"

namespace weft {
namespace {

using namespace std::chrono_literals;
using testing::Descriptor;
using testing::Listener;
using testing::Pipe;
using testing::RunOn;
using testing::SocketPair;
using testing::TcpSocket;
using testing::WaitWatch;

template <class Config>
class OperationTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(OperationTest, testing::KernelBackends, testing::BackendNames);

int64_t Read(Io& io, int fd, std::string& text, size_t size,
             off_t offset = op::kCurrentPosition) {
  text.assign(size, '\0');
  const int64_t n = io.Perform(op::ReadAt{
      .fd = fd, .data = text.data(), .size = size, .offset = offset});
  text.resize(n < 0 ? 0 : static_cast<size_t>(n));
  return n;
}

int64_t Write(Io& io, int fd, std::string_view text,
              off_t offset = op::kCurrentPosition) {
  return io.Perform(op::WriteAt{
      .fd = fd, .data = text.data(), .size = text.size(), .offset = offset});
}

int64_t Recv(Io& io, int fd, std::string& text, size_t size, int flags = 0) {
  text.assign(size, '\0');
  const int64_t n = io.Perform(
      op::Recv{.fd = fd, .data = text.data(), .size = size, .flags = flags});
  text.resize(n < 0 ? 0 : static_cast<size_t>(n));
  return n;
}

int64_t Send(Io& io, int fd, std::string_view text) {
  return io.Perform(
      op::Send{.fd = fd, .data = text.data(), .size = text.size()});
}

// A file without a name.
Descriptor TemporaryFile() {
  const char* folder = getenv("TMPDIR");
  Descriptor file(open(folder == nullptr ? "/tmp" : folder,
                       O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  EXPECT_GE(file.fd(), 0) << strerror(errno);
  return file;
}

TYPED_TEST(OperationTest, PipeCarriesBytesAndItsEnd) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Pipe pipe;
    std::string text;
    auto reader = Async(io, [&] {
      EXPECT_EQ(Read(io, pipe.read.fd(), text, 100), 5);
      return text;
    });
    EXPECT_EQ(Write(io, pipe.write.fd(), "hello"), 5);
    EXPECT_EQ(reader.Await(io), "hello");
    pipe.write.Close();
    EXPECT_EQ(Read(io, pipe.read.fd(), text, 100), 0);
  });
}

// Much more than a pipe holds.
TYPED_TEST(OperationTest, LongWritesToAPipeLoseNothing) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Pipe pipe;
    std::string all;
    for (int i = 0; all.size() < 1'000'000; ++i) all += std::to_string(i) + " ";
    auto writer = Async(io, [&] {
      std::string_view left = all;
      while (!left.empty()) {
        const int64_t n = Write(io, pipe.write.fd(), left);
        ASSERT_GT(n, 0);
        left.remove_prefix(static_cast<size_t>(n));
      }
      pipe.write.Close();
    });
    std::string received;
    std::string piece;
    while (Read(io, pipe.read.fd(), piece, 10'000) > 0) received += piece;
    writer.Await(io);
    EXPECT_TRUE(received == all);
  });
}

TYPED_TEST(OperationTest, FileIsReadAndWrittenAtOffsets) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    const Descriptor file = TemporaryFile();
    EXPECT_EQ(Write(io, file.fd(), "0123456789", 0), 10);
    EXPECT_EQ(Write(io, file.fd(), "abc", 4), 3);
    EXPECT_EQ(Write(io, file.fd(), "end", 20), 3);
    std::string text;
    EXPECT_EQ(Read(io, file.fd(), text, 100, 2), 21);
    EXPECT_EQ(text, std::string("23abc789\0\0\0\0\0\0\0\0\0\0end", 21));
    EXPECT_EQ(Read(io, file.fd(), text, 2, 5), 2);
    EXPECT_EQ(text, "bc");
    EXPECT_EQ(Read(io, file.fd(), text, 100, 23), 0);
    // The position of the descriptor was not touched.
    EXPECT_EQ(lseek(file.fd(), 0, SEEK_CUR), 0);
    EXPECT_EQ(io.Perform(op::Sync{.fd = file.fd()}), 0);
  });
}

TYPED_TEST(OperationTest, FileIsReadAndWrittenWhereItStands) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    const Descriptor file = TemporaryFile();
    EXPECT_EQ(Write(io, file.fd(), "one "), 4);
    EXPECT_EQ(Write(io, file.fd(), "two"), 3);
    EXPECT_EQ(lseek(file.fd(), 0, SEEK_CUR), 7);
    EXPECT_EQ(lseek(file.fd(), 2, SEEK_SET), 2);
    std::string text;
    EXPECT_EQ(Read(io, file.fd(), text, 3), 3);
    EXPECT_EQ(text, "e t");
    EXPECT_EQ(Read(io, file.fd(), text, 100), 2);
    EXPECT_EQ(text, "wo");
    EXPECT_EQ(Read(io, file.fd(), text, 100), 0);
  });
}

TYPED_TEST(OperationTest, AppendedWritesOfSeveralTasksStayWhole) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    constexpr int kTasks = 4;
    constexpr int kLines = 100;
    constexpr size_t kLineSize = 64;
    const Descriptor file = TemporaryFile();
    ASSERT_EQ(fcntl(file.fd(), F_SETFL, O_APPEND), 0);
    TaskGroup<B> group(io);
    for (int i = 0; i < kTasks; ++i) {
      group.Spawn([&, i](B& own) {
        const std::string line(kLineSize, static_cast<char>('a' + i));
        for (int j = 0; j < kLines; ++j) {
          EXPECT_EQ(Write(own, file.fd(), line),
                    static_cast<int64_t>(kLineSize));
        }
      });
    }
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_EQ(Write(io, file.fd(), "last"), 4);
    std::string text;
    ASSERT_EQ(Read(io, file.fd(), text, 1'000'000, 0),
              int64_t{kTasks} * kLines * kLineSize + 4);
    int counts[kTasks] = {};
    for (size_t at = 0; at + kLineSize <= text.size(); at += kLineSize) {
      const char letter = text[at];
      ASSERT_EQ(text.substr(at, kLineSize), std::string(kLineSize, letter));
      ++counts[letter - 'a'];
    }
    for (const int count : counts) EXPECT_EQ(count, kLines);
    EXPECT_TRUE(text.ends_with("last"));
  });
}

TYPED_TEST(OperationTest, SocketsSendAndReceive) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    SocketPair pair;
    std::string text;
    EXPECT_EQ(Send(io, pair.first.fd(), "hello"), 5);
    EXPECT_EQ(Recv(io, pair.second.fd(), text, 3, MSG_PEEK), 3);
    EXPECT_EQ(text, "hel");
    EXPECT_EQ(Recv(io, pair.second.fd(), text, 100), 5);
    EXPECT_EQ(text, "hello");
    char first[2];
    char second[10];
    iovec into[2] = {{.iov_base = first, .iov_len = sizeof(first)},
                     {.iov_base = second, .iov_len = sizeof(second)}};
    msghdr received = {};
    received.msg_iov = into;
    received.msg_iovlen = 2;
    auto receiver = Async(io, [&] {
      return io.Perform(
          op::RecvMessage{.fd = pair.first.fd(), .message = &received});
    });
    char from[] = "abcde";
    iovec parts[2] = {{.iov_base = from, .iov_len = 4},
                      {.iov_base = from + 4, .iov_len = 1}};
    msghdr sent = {};
    sent.msg_iov = parts;
    sent.msg_iovlen = 2;
    EXPECT_EQ(
        io.Perform(op::SendMessage{.fd = pair.second.fd(), .message = &sent}),
        5);
    EXPECT_EQ(receiver.Await(io), 5);
    EXPECT_EQ(std::string_view(first, 2), "ab");
    EXPECT_EQ(std::string_view(second, 3), "cde");
    pair.second.Close();
    EXPECT_EQ(Recv(io, pair.first.fd(), text, 100), 0);
  });
}

TYPED_TEST(OperationTest, HintThatASocketIsEmptyMayBeWrong) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    SocketPair pair;
    char byte = 0;
    const op::Recv recv = {.fd = pair.first.fd(),
                           .data = &byte,
                           .size = 1,
                           .probably_empty = true};
    EXPECT_EQ(Send(io, pair.second.fd(), "x"), 1);
    EXPECT_EQ(io.Perform(recv), 1);
    EXPECT_EQ(byte, 'x');
    WaitWatch watch;
    auto receiver = Async(io, [&] {
      watch.Begin();
      return io.Perform(recv);
    });
    watch.AwaitParked(io);
    EXPECT_EQ(Send(io, pair.second.fd(), "y"), 1);
    EXPECT_EQ(receiver.Await(io), 1);
    EXPECT_EQ(byte, 'y');
  });
}

TYPED_TEST(OperationTest, ConnectAndAcceptMeet) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    const Listener listener;
    sockaddr_in peer = {};
    socklen_t size = sizeof(peer);
    auto accepted = Async(io, [&] {
      return io.Perform(
          op::Accept{.fd = listener.fd(),
                     .address = reinterpret_cast<sockaddr*>(&peer),
                     .address_length = &size});
    });
    const Descriptor client = TcpSocket();
    EXPECT_EQ(io.Perform(listener.ConnectFrom(client)), 0);
    const Descriptor server(static_cast<int>(accepted.Await(io)));
    ASSERT_GE(server.fd(), 0);
    sockaddr_in own = {};
    socklen_t own_size = sizeof(own);
    ASSERT_EQ(
        getsockname(client.fd(), reinterpret_cast<sockaddr*>(&own), &own_size),
        0);
    EXPECT_EQ(size, sizeof(peer));
    EXPECT_EQ(peer.sin_port, own.sin_port);
    // In blocking mode and close-on-exec.
    EXPECT_EQ(fcntl(server.fd(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_EQ(fcntl(server.fd(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    EXPECT_EQ(fcntl(client.fd(), F_GETFL) & O_NONBLOCK, 0);
  });
}

TYPED_TEST(OperationTest, ConnectToNobodyIsRefused) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Listener listener;
    listener.Close();
    const Descriptor client = TcpSocket();
    EXPECT_EQ(io.Perform(listener.ConnectFrom(client)), -ECONNREFUSED);
  });
}

TYPED_TEST(OperationTest, PollReturnsTheEventsThatHold) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Pipe pipe;
    const auto poll = [&io](int fd, short events) {
      return io.Perform(op::Poll{.fd = fd, .events = events});
    };
    EXPECT_EQ(poll(pipe.write.fd(), POLLOUT), POLLOUT);
    EXPECT_EQ(poll(pipe.write.fd(), POLLIN | POLLOUT), POLLOUT);
    WaitWatch watch;
    auto waiter = Async(io, [&] {
      watch.Begin();
      return poll(pipe.read.fd(), POLLIN);
    });
    watch.AwaitParked(io);
    EXPECT_EQ(Write(io, pipe.write.fd(), "x"), 1);
    EXPECT_EQ(waiter.Await(io), POLLIN);
    // Nothing was consumed.
    EXPECT_EQ(poll(pipe.read.fd(), POLLIN), POLLIN);
    pipe.write.Close();
    EXPECT_EQ(poll(pipe.read.fd(), POLLIN), POLLIN | POLLHUP);
    const Descriptor file = TemporaryFile();
    EXPECT_EQ(poll(file.fd(), POLLIN | POLLOUT), POLLIN | POLLOUT);
  });
}

// Performs each operation on `fd`.
std::vector<std::pair<std::string, int64_t>> PerformAll(Io& io, int fd) {
  char byte = 0;
  iovec part = {.iov_base = &byte, .iov_len = 1};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  const Operation operations[] = {
      op::Accept{.fd = fd},
      op::Connect{.fd = fd,
                  .address = reinterpret_cast<const sockaddr*>(&address),
                  .address_length = sizeof(address)},
      op::Recv{.fd = fd, .data = &byte, .size = 1},
      op::Recv{.fd = fd, .data = &byte, .size = 1, .probably_empty = true},
      op::Send{.fd = fd, .data = &byte, .size = 1},
      op::RecvMessage{.fd = fd, .message = &message},
      op::SendMessage{.fd = fd, .message = &message},
      op::ReadAt{.fd = fd, .data = &byte, .size = 1},
      op::ReadAt{.fd = fd, .data = &byte, .size = 1, .offset = 0},
      op::WriteAt{.fd = fd, .data = &byte, .size = 1},
      op::WriteAt{.fd = fd, .data = &byte, .size = 1, .offset = 0},
      op::Sync{.fd = fd},
      op::Poll{.fd = fd, .events = POLLIN}};
  std::vector<std::pair<std::string, int64_t>> results;
  for (const Operation& operation : operations) {
    results.emplace_back(Name(operation), io.Perform(operation));
  }
  return results;
}

TYPED_TEST(OperationTest, ClosedDescriptorIsEbadf) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    // A number that is not given out next.
    const int closed = fcntl(TemporaryFile().fd(), F_DUPFD_CLOEXEC, 500);
    close(closed);
    for (const int fd : {closed, 1'000'000, -1, -2}) {
      for (const auto& [name, result] : PerformAll(io, fd)) {
        EXPECT_EQ(result, -EBADF) << name << " of descriptor " << fd;
      }
    }
  });
}

TYPED_TEST(OperationTest, FileIsNoSocket) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    const Descriptor file = TemporaryFile();
    for (const auto& [name, result] : PerformAll(io, file.fd())) {
      if (name == "read" || name == "write" || name == "fsync" ||
          name == "poll") {
        EXPECT_GE(result, 0) << name;
      } else {
        EXPECT_EQ(result, -ENOTSOCK) << name;
      }
    }
  });
}

TYPED_TEST(OperationTest, ErrorsAreThoseOfTheSystemCall) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Pipe pipe;
    std::string text;
    EXPECT_EQ(Write(io, pipe.read.fd(), "x"), -EBADF);
    EXPECT_EQ(Read(io, pipe.write.fd(), text, 1), -EBADF);
    EXPECT_EQ(io.Perform(op::Sync{.fd = pipe.read.fd()}), -EINVAL);
    const Descriptor folder(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    EXPECT_EQ(Read(io, folder.fd(), text, 1), -EISDIR);
    const Descriptor socket = TcpSocket();
    EXPECT_EQ(io.Perform(op::Accept{.fd = socket.fd()}), -EINVAL);
    EXPECT_EQ(Recv(io, socket.fd(), text, 1), -ENOTCONN);
    const Descriptor full(open("/dev/full", O_WRONLY | O_CLOEXEC));
    EXPECT_EQ(Write(io, full.fd(), "x"), -ENOSPC);
  });
}

void SetNonBlocking(int fd) {
  ASSERT_EQ(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

// EAGAIN never reaches the user.
TYPED_TEST(OperationTest, NonBlockingDescriptorsAreWaitedForAllTheSame) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Pipe pipe;
    SocketPair pair;
    Listener listener;
    const Descriptor client = TcpSocket();
    const Descriptor counter(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    for (const int fd : {pipe.read.fd(), pipe.write.fd(), pair.first.fd(),
                         pair.second.fd(), listener.fd(), client.fd()}) {
      SetNonBlocking(fd);
    }
    TaskGroup<B> group(io);
    WaitWatch watches[4];
    group.Spawn([&] {
      std::string text;
      watches[0].Begin();
      EXPECT_EQ(Read(io, pipe.read.fd(), text, 10), 1);
    });
    group.Spawn([&] {
      std::string text;
      watches[1].Begin();
      EXPECT_EQ(Recv(io, pair.first.fd(), text, 10), 1);
    });
    group.Spawn([&] {
      watches[2].Begin();
      const Descriptor server(
          static_cast<int>(io.Perform(op::Accept{.fd = listener.fd()})));
      EXPECT_GE(server.fd(), 0);
    });
    group.Spawn([&] {
      uint64_t count = 0;
      watches[3].Begin();
      EXPECT_EQ(io.Perform(op::ReadAt{
                    .fd = counter.fd(), .data = &count, .size = sizeof(count)}),
                8);
      EXPECT_EQ(count, 5u);
    });
    for (const WaitWatch& watch : watches) watch.AwaitParked(io);
    EXPECT_EQ(Write(io, pipe.write.fd(), "x"), 1);
    EXPECT_EQ(Send(io, pair.second.fd(), "x"), 1);
    EXPECT_EQ(io.Perform(listener.ConnectFrom(client)), 0);
    const uint64_t five = 5;
    EXPECT_EQ(io.Perform(op::WriteAt{
                  .fd = counter.fd(), .data = &five, .size = sizeof(five)}),
              8);
    EXPECT_TRUE(group.Await(io).ok());
    // Full ones are waited for, too.
    std::string all(1'000'000, 'a');
    auto writer = Async(io, [&] {
      for (size_t sent = 0; sent < all.size();) {
        const int64_t n =
            Send(io, pair.first.fd(), std::string_view(all).substr(sent));
        ASSERT_GT(n, 0);
        sent += static_cast<size_t>(n);
      }
    });
    std::string piece;
    for (size_t received = 0; received < all.size();) {
      const int64_t n = Recv(io, pair.second.fd(), piece, 10'000);
      ASSERT_GT(n, 0);
      received += static_cast<size_t>(n);
    }
    writer.Await(io);
  });
}

TYPED_TEST(OperationTest, NonBlockingConnectToNobodyIsRefused) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Listener listener;
    listener.Close();
    const Descriptor client = TcpSocket();
    SetNonBlocking(client.fd());
    EXPECT_EQ(io.Perform(listener.ConnectFrom(client)), -ECONNREFUSED);
  });
}

TYPED_TEST(OperationTest, OperationsHaveNames) {
  EXPECT_STREQ(Name(op::Accept{}), "accept");
  EXPECT_STREQ(Name(op::Connect{}), "connect");
  EXPECT_STREQ(Name(op::Recv{}), "recv");
  EXPECT_STREQ(Name(op::Send{}), "send");
  EXPECT_STREQ(Name(op::RecvMessage{}), "recvmsg");
  EXPECT_STREQ(Name(op::SendMessage{}), "sendmsg");
  EXPECT_STREQ(Name(op::ReadAt{}), "read");
  EXPECT_STREQ(Name(op::WriteAt{}), "write");
  EXPECT_STREQ(Name(op::Sync{}), "fsync");
  EXPECT_STREQ(Name(op::Poll{}), "poll");
}

TYPED_TEST(OperationTest, BackendDescribesItself) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    const Description description = io.Describe();
    EXPECT_EQ(description.backend, TypeParam::kBackend);
    EXPECT_EQ(description.driver, TypeParam::kDriver);
    EXPECT_EQ(description.workers, TypeParam::options().workers.value_or(0));
    EXPECT_FALSE(description.details.empty());
    EXPECT_EQ(description.details.find('\n'), std::string::npos);
  });
}

TYPED_TEST(OperationTest, ClocksGoOnAndRandomNumbersDiffer) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    const MonotonicTime before = io.Now();
    EXPECT_TRUE(Sleep(io, 2ms).ok());
    EXPECT_GE(io.Now() - before, 2ms);
    const auto off = io.WallNow() - std::chrono::system_clock::now();
    EXPECT_LT(off < Duration(0) ? -off : off, 10s);
    EXPECT_NE(io.Random(), io.Random());
  });
}

}  // namespace
}  // namespace weft
