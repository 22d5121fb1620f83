// LogFile: the log as a file.
#ifndef WEFT_EXAMPLES_RELAY_LOG_FILE_H_
#define WEFT_EXAMPLES_RELAY_LOG_FILE_H_

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "weft/examples/relay/log.h"
#include "weft/net/descriptor.h"
#include "weft/runtime/io.h"

namespace relay {

class LogFile final : public Log {
 public:
  // Makes the file, or goes on at its end. Does not wait for a task.
  static absl::StatusOr<LogFile> Open(const std::string& path);

  absl::Status Append(weft::Io& io, std::string_view frames) override;
  absl::Status Sync(weft::Io& io) override;

 private:
  LogFile(std::string path, weft::net::Descriptor descriptor)
      : path_(std::move(path)), descriptor_(std::move(descriptor)) {}

  std::string path_;
  weft::net::Descriptor descriptor_;
};

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_LOG_FILE_H_
