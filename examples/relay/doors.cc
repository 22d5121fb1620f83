#include "weft/examples/relay/doors.h"

#include <memory>
#include <utility>

#include "weft/examples/relay/log_file.h"

namespace relay {

absl::StatusOr<Doors> OpenDoors(weft::Io& io, const Config& config) {
  absl::StatusOr<LogFile> log = LogFile::Open(config.log);
  if (!log.ok()) return log.status();
  auto subscribers = weft::net::TcpListener::Bind(io, config.subscribers);
  if (!subscribers.ok()) return subscribers.status();
  auto health = weft::net::TcpListener::Bind(io, config.health);
  if (!health.ok()) return health.status();
  return Doors{std::make_unique<LogFile>(*std::move(log)),
               *std::move(subscribers), *std::move(health)};
}

}  // namespace relay
