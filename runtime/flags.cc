#include "weft/runtime/flags.h"

#include <string>
#include <utility>

#include "absl/flags/flag.h"

// Text, and empty when not given, so that each default stays in one place.
ABSL_FLAG(std::string, weft_backend, "", "threaded or evented");
ABSL_FLAG(std::string, weft_driver, "", "auto, uring or epoll");
ABSL_FLAG(std::string, weft_workers, "", "threads that run fibers");
ABSL_FLAG(std::string, weft_stack_size, "", "bytes for the stack of a task");
ABSL_FLAG(std::string, weft_max_tasks, "", "how many tasks may exist at once");
ABSL_FLAG(std::string, weft_ring_entries, "", "entries of a submission queue");
ABSL_FLAG(std::string, weft_idle_thread_timeout, "",
          "how long an idle thread waits for a task");
ABSL_FLAG(std::string, weft_report_overflow, "",
          "on or off: say which task has overflowed its stack");
ABSL_FLAG(std::string, weft_measure_stacks, "",
          "on or off: note how much of their stacks tasks use");
ABSL_FLAG(std::string, weft_perturb_seed, "",
          "shake the order of fibers from this seed");
ABSL_FLAG(std::string, weft_watchdog, "",
          "how long a worker may go without a switch; 0: for ever");
ABSL_FLAG(std::string, weft_dump_signal, "",
          "the signal at which all tasks are listed, such as USR1");

namespace weft {

Options OptionsFromFlags() {
  Options options = Options::FromEnvironment();
  const std::pair<const char*, const absl::Flag<std::string>*> flags[] = {
      {"backend", &FLAGS_weft_backend},
      {"driver", &FLAGS_weft_driver},
      {"workers", &FLAGS_weft_workers},
      {"stack_size", &FLAGS_weft_stack_size},
      {"max_tasks", &FLAGS_weft_max_tasks},
      {"ring_entries", &FLAGS_weft_ring_entries},
      {"idle_thread_timeout", &FLAGS_weft_idle_thread_timeout},
      {"report_overflow", &FLAGS_weft_report_overflow},
      {"measure_stacks", &FLAGS_weft_measure_stacks},
      {"perturb_seed", &FLAGS_weft_perturb_seed},
      {"watchdog", &FLAGS_weft_watchdog},
      {"dump_signal", &FLAGS_weft_dump_signal},
  };
  for (const auto& [name, flag] : flags) {
    const std::string value = absl::GetFlag(*flag);
    if (!value.empty()) options.error.Update(options.Set(name, value));
  }
  return options;
}

}  // namespace weft
