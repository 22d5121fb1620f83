#include "weft/examples/relay/flags.h"

#include <getopt.h>

#include <cstdio>
#include <cstdlib>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace relay {
namespace {

[[noreturn]] void PrintHelp(std::span<const Flag> flags) {
  for (const Flag& flag : flags) {
    std::printf("  --%-24s %s\n", (flag.name + "=...").c_str(),
                flag.help.c_str());
  }
  std::exit(EXIT_SUCCESS);
}

absl::Status Refuse(const std::string& name, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat("option ", name, ": ", why));
}

}  // namespace

Setter SetText(std::string& target) {
  return [&target](const std::string& value) {
    target = value;
    return absl::OkStatus();
  };
}

Setter SetAddress(weft::net::SocketAddress& target) {
  return [&target](const std::string& value) {
    const auto address = weft::net::SocketAddress::Parse(value);
    if (address.ok()) target = *address;
    return address.status();
  };
}

Setter SetNumber(uint64_t& target, uint64_t least, uint64_t most) {
  return [&target, least, most](const std::string& value) {
    uint64_t number = 0;
    if (!absl::SimpleAtoi(value, &number) || number < least || number > most) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", value, "' is not possible; give a number from ",
                       least, " to ", most));
    }
    target = number;
    return absl::OkStatus();
  };
}

Setter SetDuration(weft::Duration& target) {
  return [&target](const std::string& value) {
    absl::Duration span;
    if (!absl::ParseDuration(value, &span) || span < absl::Milliseconds(1) ||
        span > absl::Hours(1)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "'", value, "' is not possible; give a time from 1ms to 1h"));
    }
    target = absl::ToChronoNanoseconds(span);
    return absl::OkStatus();
  };
}

std::vector<Flag> WeftFlags(weft::Options& options) {
  const std::pair<const char*, const char*> names[] = {
      {"backend", "threaded or evented"},
      {"driver", "auto, uring or epoll (evented)"},
      {"workers", "threads that run fibers (evented)"},
      {"stack_size", "bytes of address space for the stack of a task"},
      {"max_tasks", "how many tasks may exist at once"},
      {"ring_entries", "entries of a submission queue (evented)"},
      {"idle_thread_timeout", "how long a thread stays idle (threaded)"},
      {"perturb_seed", "shake the order of fibers from this seed (evented)"},
      {"watchdog", "how long a worker may go without a switch (evented)"},
      {"dump_signal", "the signal that has all tasks listed, such as USR1"},
  };
  std::vector<Flag> flags;
  for (const auto& [name, help] : names) {
    flags.push_back(
        {name, help, [&options, name = name](const std::string& value) {
           return options.Set(name, value);
         }});
  }
  return flags;
}

absl::Status ParseFlags(int argc, char** argv, std::span<const Flag> flags) {
  std::vector<option> table;
  for (const Flag& flag : flags) {
    table.push_back({flag.name.c_str(), required_argument, nullptr, 0});
  }
  table.push_back({"help", no_argument, nullptr, 'h'});
  table.push_back({});

  opterr = 0;  // the errors are returned instead
  for (;;) {
    int index = 0;
    const int found = getopt_long(argc, argv, ":", table.data(), &index);
    if (found == -1) break;
    if (found == 'h') PrintHelp(flags);
    if (found == ':') return Refuse(argv[optind - 1], "needs a value");
    if (found != 0) return Refuse(argv[optind - 1], "there is no such option");
    const Flag& flag = flags[static_cast<size_t>(index)];
    const absl::Status status = flag.set(optarg);
    if (!status.ok()) {
      return Refuse("--" + flag.name, std::string(status.message()));
    }
  }
  if (optind < argc) return Refuse(argv[optind], "there is no such option");
  return absl::OkStatus();
}

}  // namespace relay
