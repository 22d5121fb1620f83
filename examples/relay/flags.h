// Command-line flags: `--name=value` or `--name value`.
//
//   std::vector<Flag> flags = WeftFlags(options);
//   flags.push_back({"rate", "events a second", SetNumber(rate, 1, 9999)});
//   absl::Status status = ParseFlags(argc, argv, flags);
#ifndef WEFT_EXAMPLES_RELAY_FLAGS_H_
#define WEFT_EXAMPLES_RELAY_FLAGS_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "weft/net/address.h"
#include "weft/runtime/clock.h"
#include "weft/runtime/options.h"

namespace relay {

// Takes a value; the error says what is wrong with it.
using Setter = std::function<absl::Status(const std::string& value)>;

struct Flag {
  std::string name;
  std::string help;
  Setter set;
};

// Setters for values of the usual kinds. The target outlives the setter.
Setter SetText(std::string& target);
Setter SetAddress(weft::net::SocketAddress& target);
Setter SetNumber(uint64_t& target, uint64_t least, uint64_t most);
// A number with a unit, such as 300ms or 1.5s; from 1ms to 1h.
Setter SetDuration(weft::Duration& target);

// One flag for each of weft's own options that a backend takes.
std::vector<Flag> WeftFlags(weft::Options& options);

// Reads the command line. INVALID_ARGUMENT names the first flag that is
// unknown or has an impossible value. `--help` prints the flags and ends the
// program.
absl::Status ParseFlags(int argc, char** argv, std::span<const Flag> flags);

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_FLAGS_H_
