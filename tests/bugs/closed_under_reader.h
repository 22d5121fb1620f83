// A client connects again: it closes its stream and puts a new one in its
// place, while another task still reads. That task is in the middle of a read,
// or goes on with what another connection sends. Repaired: it has ended before
// the stream is replaced.
#ifndef WEFT_TESTS_BUGS_CLOSED_UNDER_READER_H_
#define WEFT_TESTS_BUGS_CLOSED_UNDER_READER_H_

#include <string_view>

#include "weft/net/address.h"
#include "weft/net/tcp_listener.h"
#include "weft/net/tcp_stream.h"
#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <bool repaired>
void ClosedUnderReader(Sim& io) {
  auto listener = net::TcpListener::Bind(io, net::SocketAddress::Loopback(0));
  const auto connect = [&] {
    return *net::TcpStream::Connect(io, listener->local_address());
  };
  const auto serve = [&] {
    for (const std::string_view word : {"first", "other"}) {
      auto stream = listener->Accept(io);
      (void)stream->WriteAll(io, word);
    }
  };
  auto server = Async(io, {.name = "server"}, serve);
  net::TcpStream stream = connect();
  auto reader = Async(io, {.name = "reader"}, [&] {
    char read = 0;
    while (stream.Read(io, {&read, 1}).value_or(0) > 0) {
      Expect(io, std::string_view("first").find(read) != std::string_view::npos,
             "what another connection sent was read");
    }
  });
  stream.Close();
  if (repaired) reader.Await(io);
  stream = connect();
  if (!repaired) reader.Await(io);
  server.Await(io);
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_CLOSED_UNDER_READER_H_
