// TCP echo server, one thread, io_uring: the limit of weft's uring driver.
//
// By default one-shot: recv, send, recv, ... per connection, what a fiber that
// reads and writes asks of the kernel. With --multishot one receive per
// connection stays armed and takes its buffers from a shared ring: what
// streaming receive asks of it.
//
// Either way a turn of the loop is one system call, which submits what the last
// turn prepared and waits, followed by one walk over the completions.
//
// Sockets are plain descriptors, as weft's are; direct ones would save 2 %.
#define _GNU_SOURCE
#include <liburing.h>
#include <poll.h>

#include "echo_server.h"

enum {
  // Both rings are walked through from end to end, so larger ones cost cache.
  kSubmissions = 1024,
  kCompletions = 8 * kSubmissions,
  kBufferSize = 2048,
  kBuffers = 1024,  // a power of two
  kBufferGroup = 0,
  // Of one connection, waiting to be sent: a peer that does not read must not
  // take them all.
  kMaxQueued = kBuffers / 64,
};

// What a completion is about: the low bits of user_data, under the connection.
enum Tag { kReceived, kSent, kAccepted, kControl, kCancelled, kTagMask = 7 };

// Of a multishot receive.
enum Receive {
  kArmed,
  kStopping,  // armed and being cancelled: too much waits to be sent
  kStopped,   // starts again when all is sent
  kHungry,    // starts again when there are buffers
  kOver,      // end of stream, or an error
};

struct Connection {
  int fd;
  uint32_t sent;  // of the bytes being sent
  // One-shot: the buffer and what is in it.
  uint32_t size;
  // Multishot: buffers to send, oldest first.
  int first;
  int last;
  uint32_t queued;
  enum Receive receive;
  bool broken;                // nothing can be sent any more
  struct Connection* hungry;  // next connection that waits for a buffer
  char buffer[];              // kBufferSize, one-shot only
};

// A buffer of the shared ring: ours between its receive and the end of its
// send.
struct Buffer {
  uint32_t size;
  int next;  // in its connection's queue, -1 at the end
};

static struct {
  struct io_uring ring;
  struct Server server;
  uint64_t requests;
  bool multishot;
  bool running;
  bool accept_paused;
  struct io_uring_buf_ring* buffer_ring;
  char* memory;
  struct Buffer buffers[kBuffers];
  int free_buffers;
  struct Connection* hungry_first;
  struct Connection* hungry_last;
} self;

static struct io_uring_sqe* Prepare(void) {
  struct io_uring_sqe* sqe;
  while ((sqe = io_uring_get_sqe(&self.ring)) == NULL) {
    io_uring_submit(&self.ring);
  }
  return sqe;
}

static void SetOwner(struct io_uring_sqe* sqe, void* owner, enum Tag tag) {
  io_uring_sqe_set_data64(sqe, (uintptr_t)owner | tag);
}

static void SubmitAccept(void) {
  struct io_uring_sqe* sqe = Prepare();
  io_uring_prep_multishot_accept(sqe, self.server.listener, NULL, NULL,
                                 SOCK_CLOEXEC);
  SetOwner(sqe, NULL, kAccepted);
}

static void SubmitControl(void) {
  struct io_uring_sqe* sqe = Prepare();
  io_uring_prep_poll_add(sqe, self.server.control, POLLIN);
  SetOwner(sqe, NULL, kControl);
}

static void SubmitSend(struct Connection* connection, const char* data,
                       uint32_t size) {
  struct io_uring_sqe* sqe = Prepare();
  io_uring_prep_send(sqe, connection->fd, data + connection->sent,
                     size - connection->sent, MSG_NOSIGNAL);
  SetOwner(sqe, connection, kSent);
}

// Only when no operation names the descriptor any more.
static void Close(struct Connection* connection) {
  close(connection->fd);
  free(connection);
  if (self.accept_paused) SubmitAccept();
  self.accept_paused = false;
}

// One-shot ------------------------------------------------------------------

static void SubmitReceive(struct Connection* connection) {
  struct io_uring_sqe* sqe = Prepare();
  io_uring_prep_recv(sqe, connection->fd, connection->buffer, kBufferSize, 0);
  // The peer has yet to see the echo: a first attempt would find nothing.
  sqe->ioprio = IORING_RECVSEND_POLL_FIRST;
  SetOwner(sqe, connection, kReceived);
}

static void OneShotReceived(struct Connection* connection, int result) {
  if (result <= 0) {
    Close(connection);
    return;
  }
  connection->size = (uint32_t)result;
  connection->sent = 0;
  SubmitSend(connection, connection->buffer, connection->size);
}

static void OneShotSent(struct Connection* connection, int result) {
  if (result < 0) {
    Close(connection);
    return;
  }
  connection->sent += (uint32_t)result;
  if (connection->sent < connection->size) {
    SubmitSend(connection, connection->buffer, connection->size);
    return;
  }
  ++self.requests;
  SubmitReceive(connection);
}

// Multishot -----------------------------------------------------------------

static char* BufferMemory(int buffer) {
  return self.memory + (size_t)buffer * kBufferSize;
}

static void SubmitMultishotReceive(struct Connection* connection) {
  struct io_uring_sqe* sqe = Prepare();
  io_uring_prep_recv_multishot(sqe, connection->fd, NULL, 0, 0);
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = kBufferGroup;
  sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
  SetOwner(sqe, connection, kReceived);
  connection->receive = kArmed;
}

static void StopReceive(struct Connection* connection) {
  struct io_uring_sqe* sqe = Prepare();
  io_uring_prep_cancel64(sqe, (uintptr_t)connection | kReceived, 0);
  SetOwner(sqe, NULL, kCancelled);
  connection->receive = kStopping;
}

static void ReturnBuffer(int buffer) {
  io_uring_buf_ring_add(self.buffer_ring, BufferMemory(buffer), kBufferSize,
                        (unsigned short)buffer,
                        io_uring_buf_ring_mask(kBuffers), 0);
  io_uring_buf_ring_advance(self.buffer_ring, 1);
  ++self.free_buffers;
}

// A receive that found no buffer ended. It starts again when a good part of the
// buffers is back, not with each of them.
static void FeedHungry(void) {
  if (self.free_buffers < kBuffers / 4) return;
  struct Connection* connection = self.hungry_first;
  self.hungry_first = self.hungry_last = NULL;
  while (connection != NULL) {
    struct Connection* next = connection->hungry;
    SubmitMultishotReceive(connection);
    connection = next;
  }
}

static void AddHungry(struct Connection* connection) {
  connection->receive = kHungry;
  connection->hungry = NULL;
  if (self.hungry_first == NULL) {
    self.hungry_first = connection;
  } else {
    self.hungry_last->hungry = connection;
  }
  self.hungry_last = connection;
}

static void SendFirst(struct Connection* connection) {
  SubmitSend(connection, BufferMemory(connection->first),
             self.buffers[connection->first].size);
}

static void Enqueue(struct Connection* connection, int buffer, uint32_t size) {
  self.buffers[buffer] = (struct Buffer){.size = size, .next = -1};
  if (connection->first < 0) {
    connection->first = buffer;
    connection->sent = 0;
    SendFirst(connection);
  } else {
    self.buffers[connection->last].next = buffer;
  }
  connection->last = buffer;
  if (++connection->queued >= kMaxQueued && connection->receive == kArmed) {
    StopReceive(connection);
  }
}

static void Dequeue(struct Connection* connection) {
  const int buffer = connection->first;
  connection->first = self.buffers[buffer].next;
  --connection->queued;
  ReturnBuffer(buffer);
}

// The receive gave its last completion.
static void ReceiveEnded(struct Connection* connection, int result) {
  const bool stopped = connection->receive == kStopping;
  connection->receive = kOver;
  if (connection->broken) {
    Close(connection);
  } else if (result == -ENOBUFS) {
    AddHungry(connection);
  } else if (result > 0 || result == -ECANCELED) {
    if (stopped && connection->first >= 0) {
      connection->receive = kStopped;
    } else {
      SubmitMultishotReceive(connection);
    }
  } else if (connection->first < 0) {
    Close(connection);
  }
}

static void MultishotReceived(struct Connection* connection, int result,
                              uint32_t flags) {
  if (flags & IORING_CQE_F_BUFFER) {
    const int buffer = (int)(flags >> IORING_CQE_BUFFER_SHIFT);
    --self.free_buffers;
    if (result > 0 && !connection->broken) {
      Enqueue(connection, buffer, (uint32_t)result);
    } else {
      ReturnBuffer(buffer);
    }
  }
  if (!(flags & IORING_CQE_F_MORE)) ReceiveEnded(connection, result);
}

static void MultishotSent(struct Connection* connection, int result) {
  if (result >= 0) {
    connection->sent += (uint32_t)result;
    if (connection->sent < self.buffers[connection->first].size) {
      SendFirst(connection);
      return;
    }
    ++self.requests;
    connection->sent = 0;
    Dequeue(connection);
    if (connection->first >= 0) {
      SendFirst(connection);
      return;
    }
  } else {
    connection->broken = true;
    while (connection->first >= 0) Dequeue(connection);
    // Ends the receive, whose last completion closes.
    shutdown(connection->fd, SHUT_RDWR);
  }
  if (connection->receive == kOver ||
      (connection->receive == kStopped && connection->broken)) {
    Close(connection);
  } else if (connection->receive == kStopped) {
    SubmitMultishotReceive(connection);
  }
}

static void StartBuffers(void) {
  self.memory = aligned_alloc(4096, (size_t)kBuffers * kBufferSize);
  self.buffer_ring =
      aligned_alloc(4096, kBuffers * sizeof(struct io_uring_buf));
  if (self.memory == NULL || self.buffer_ring == NULL) Die("buffers", ENOMEM);
  struct io_uring_buf_reg registration = {
      .ring_addr = (uintptr_t)self.buffer_ring,
      .ring_entries = kBuffers,
      .bgid = kBufferGroup};
  const int error = io_uring_register_buf_ring(&self.ring, &registration, 0);
  if (error < 0) {
    fprintf(stderr, "io_uring_register_buf_ring: %s\n", strerror(-error));
    exit(kExitUnavailable);
  }
  io_uring_buf_ring_init(self.buffer_ring);
  for (int i = 0; i < kBuffers; ++i) ReturnBuffer(i);
}

// Both ----------------------------------------------------------------------

static void Accepted(int result, uint32_t flags) {
  if (IsExhaustion(-result)) {
    self.accept_paused = true;
    return;
  }
  if (!(flags & IORING_CQE_F_MORE)) SubmitAccept();
  if (result < 0) return;
  struct Connection* connection =
      calloc(1, sizeof *connection + (self.multishot ? 0 : kBufferSize));
  if (connection == NULL) {
    close(result);
    return;
  }
  connection->fd = result;
  connection->first = -1;
  if (self.multishot) {
    SubmitMultishotReceive(connection);
  } else {
    SubmitReceive(connection);
  }
}

static void Complete(const struct io_uring_cqe* cqe) {
  const uint64_t data = cqe->user_data;
  struct Connection* connection =
      (struct Connection*)(uintptr_t)(data & ~(uint64_t)kTagMask);
  switch ((enum Tag)(data & kTagMask)) {
    case kReceived:
      if (self.multishot) {
        MultishotReceived(connection, cqe->res, cqe->flags);
      } else {
        OneShotReceived(connection, cqe->res);
      }
      break;
    case kSent:
      if (self.multishot) {
        MultishotSent(connection, cqe->res);
      } else {
        OneShotSent(connection, cqe->res);
      }
      break;
    case kAccepted:
      Accepted(cqe->res, cqe->flags);
      break;
    case kCancelled:
      break;
    default:
      self.running = HandleControl(&self.server, self.requests);
      SubmitControl();
  }
}

static void StartRing(void) {
  const unsigned common =
      IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE;
  struct io_uring_params params = {
      .flags = common | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
      .cq_entries = kCompletions};
  int error = io_uring_queue_init_params(kSubmissions, &self.ring, &params);
  if (error == -EINVAL) {  // below 6.1
    params =
        (struct io_uring_params){.flags = common | IORING_SETUP_COOP_TASKRUN,
                                 .cq_entries = kCompletions};
    error = io_uring_queue_init_params(kSubmissions, &self.ring, &params);
  }
  if (error < 0) {
    fprintf(stderr, "io_uring_setup: %s\n", strerror(-error));
    exit(kExitUnavailable);
  }
  io_uring_register_ring_fd(&self.ring);
}

int main(int argc, char** argv) {
  const struct Options options = ParseOptions(argc, argv);
  StartRing();
  self.multishot = options.multishot;
  if (self.multishot) StartBuffers();
  self.server = StartServer(options, 0);
  SubmitAccept();
  SubmitControl();
  for (self.running = true; self.running;) {
    io_uring_submit_and_wait(&self.ring, 1);
    unsigned head;
    unsigned count = 0;
    const struct io_uring_cqe* cqe;
    io_uring_for_each_cqe(&self.ring, head, cqe) {
      Complete(cqe);
      ++count;
    }
    io_uring_cq_advance(&self.ring, count);
    if (self.hungry_first != NULL) FeedHungry();
  }
  ReportAndExit(&self.server,
                self.multishot ? "echo_uring --multishot" : "echo_uring",
                self.requests);
}
