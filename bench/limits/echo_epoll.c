// TCP echo server, one thread, edge-triggered epoll with non-blocking recv and
// send: the limit of weft's epoll driver.
//
// A request costs recv and send, plus its share of one epoll_wait. A receive
// that does not fill the buffer has emptied the socket, so no second recv asks.
#define _GNU_SOURCE
#include "echo_server.h"

enum { kEvents = 1024 };

struct Connection {
  int fd;
  bool hung_up;   // the peer sent its last byte: read until the end of stream
  uint32_t size;  // bytes in the buffer
  uint32_t sent;  // of these, sent
  char buffer[2048];
};

static uint64_t requests;

// False: the connection is over.
static bool Flush(struct Connection* connection) {
  while (connection->sent < connection->size) {
    const ssize_t sent =
        send(connection->fd, connection->buffer + connection->sent,
             connection->size - connection->sent, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    connection->sent += (uint32_t)sent;
  }
  if (connection->size > 0) ++requests;
  connection->size = connection->sent = 0;
  return true;
}

// Echoes until the socket is empty or full; the next edge tells of either.
// False: the connection is over.
static bool Serve(struct Connection* connection) {
  for (bool empty = false;;) {
    if (!Flush(connection)) return false;
    const bool full = connection->size > 0;
    if (full || empty) return true;
    const ssize_t size =
        recv(connection->fd, connection->buffer, sizeof connection->buffer, 0);
    if (size < 0) return errno == EAGAIN;
    if (size == 0) return false;
    connection->size = (uint32_t)size;
    // No edge follows a hang-up that was already reported: read on to its end.
    empty = size < (ssize_t)sizeof connection->buffer && !connection->hung_up;
  }
}

static void WatchListener(int epoll, const struct Server* server,
                          int operation) {
  struct epoll_event event = {.events = EPOLLIN,
                              .data.ptr = (void*)&server->listener};
  if (epoll_ctl(epoll, operation, server->listener, &event) < 0) {
    Die("epoll_ctl", errno);
  }
}

// Accepts what waits. False: out of descriptors or memory.
static bool AcceptAll(int epoll, int listener) {
  for (;;) {
    const int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EAGAIN) return true;
      if (IsExhaustion(errno)) return false;
      continue;  // the error of a connection that died in the backlog
    }
    struct Connection* connection = malloc(sizeof *connection);
    if (connection == NULL) {
      close(fd);
      return false;
    }
    connection->fd = fd;
    connection->hung_up = false;
    connection->size = connection->sent = 0;
    // Watched once for everything: an edge needs no epoll_ctl per request.
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
        .data.ptr = connection};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
      close(fd);
      free(connection);
      return false;
    }
  }
}

int main(int argc, char** argv) {
  struct Server server = StartServer(ParseOptions(argc, argv), SOCK_NONBLOCK);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) Die("epoll_create1", errno);
  struct epoll_event control = {.events = EPOLLIN, .data.ptr = &server.control};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, server.control, &control) < 0) {
    Die("epoll_ctl", errno);
  }
  WatchListener(epoll, &server, EPOLL_CTL_ADD);
  bool accepting = true;

  static struct epoll_event events[kEvents];
  for (bool running = true; running;) {
    const int count = epoll_wait(epoll, events, kEvents, -1);
    for (int i = 0; i < count; ++i) {
      void* source = events[i].data.ptr;
      if (source == &server.control) {
        running = HandleControl(&server, requests);
      } else if (source == &server.listener) {
        accepting = AcceptAll(epoll, server.listener);
        if (!accepting) WatchListener(epoll, &server, EPOLL_CTL_DEL);
      } else {
        struct Connection* connection = source;
        connection->hung_up |=
            (events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
        if (Serve(connection)) continue;
        close(connection->fd);
        free(connection);
        if (!accepting) WatchListener(epoll, &server, EPOLL_CTL_ADD);
        accepting = true;
      }
    }
  }
  ReportAndExit(&server, "echo_epoll", requests);
}
