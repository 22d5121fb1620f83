// The tasks of a schedule as text, and as a dump wants them.
#ifndef WEFT_BACKENDS_SIM_INTERNAL_TASK_TREE_H_
#define WEFT_BACKENDS_SIM_INTERNAL_TASK_TREE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "weft/runtime/internal/task_inspection.h"

namespace weft::sim {

class Scheduler;

// A line for each task that has not ended, below the task that started it:
// its number and name, what it waits for and since when. Below that, who holds
// what it waits for, and what it holds itself.
std::string DescribeTasks(Scheduler& scheduler);

// Reports all tasks that have not ended. Called by the task that runs.
void InspectTasks(Scheduler& scheduler, internal::TaskInspection& inspection);

// A line for each task of a circle, as FindCircle returns it.
std::string DescribeCircle(Scheduler& scheduler,
                           const std::vector<uint32_t>& circle);

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_INTERNAL_TASK_TREE_H_
