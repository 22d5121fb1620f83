// A read that cannot be cancelled: the limit of what the others cost.
#define _GNU_SOURCE
#include "cancel.h"

static void SetUp(void* state) { (void)state; }

static ssize_t Read(void* state, int fd, void* data, size_t size) {
  (void)state;
  const ssize_t result = read(fd, data, size);
  return result < 0 ? -errno : result;
}

int main(int argc, char** argv) {
  const struct Way way = {.name = "plain", .set_up = SetUp, .read = Read};
  return Measure(&way, argc, argv);
}
