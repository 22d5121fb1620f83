// The tasks of a schedule as text.
#ifndef WEFT_BACKENDS_SIM_INTERNAL_TASK_TREE_H_
#define WEFT_BACKENDS_SIM_INTERNAL_TASK_TREE_H_

#include <string>

namespace weft::sim {

class Scheduler;

// A line for each task that has not ended, below the task that started it:
// its number and name, what it waits for and since when.
std::string DescribeTasks(Scheduler& scheduler);

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_INTERNAL_TASK_TREE_H_
