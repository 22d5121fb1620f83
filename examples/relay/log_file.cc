#include "weft/examples/relay/log_file.h"

#include <fcntl.h>

#include <cerrno>
#include <cstdint>

#include "weft/examples/relay/output.h"
#include "weft/runtime/operation.h"
#include "weft/runtime/status.h"

namespace relay {

absl::StatusOr<LogFile> LogFile::Open(const std::string& path) {
  weft::net::Descriptor descriptor(
      open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!descriptor.valid()) {
    return weft::ErrnoStatus(errno, "open log " + path);
  }
  return LogFile(path, std::move(descriptor));
}

absl::Status LogFile::Append(weft::Io& io, std::string_view frames) {
  return WriteAll(io, descriptor_.get(), frames, "log " + path_);
}

absl::Status LogFile::Sync(weft::Io& io) {
  const int64_t result = io.Perform(weft::op::Sync{.fd = descriptor_.get()});
  // fsync(2): a pipe or a terminal has nothing to bring to a disk.
  if (result == 0 || result == -EINVAL) return absl::OkStatus();
  return weft::ErrnoStatus(static_cast<int>(-result), "sync log " + path_);
}

}  // namespace relay
