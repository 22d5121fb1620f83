// TaskLocal: a value that belongs to a task and to the tasks it starts.
//
//   weft::TaskLocal<std::string> request_id;         // usually a global
//   ...
//   weft::TaskLocal<std::string>::Binding bound(io, request_id, "42");
//   group.Spawn([](B& io) { Log(*request_id.Get(io)); });   // "42"
//
// A task sees the bindings that its parent had when it started it, and keeps
// them alive.
//
// **Threads.** Get and Binding: the task itself.
#ifndef WEFT_RUNTIME_TASK_LOCAL_H_
#define WEFT_RUNTIME_TASK_LOCAL_H_

#include <memory>
#include <utility>

#include "weft/runtime/io.h"
#include "weft/runtime/task.h"

namespace weft {
namespace internal {

// A list that tasks share from the point on where they have it in common.
struct LocalNode {
  const void* key;
  std::shared_ptr<const LocalNode> next;
  std::shared_ptr<const void> value;
};

}  // namespace internal

template <class T>
class TaskLocal {
 public:
  TaskLocal() = default;
  TaskLocal(const TaskLocal&) = delete;
  TaskLocal& operator=(const TaskLocal&) = delete;

  // The innermost value bound in this task or inherited; null if none. Valid
  // while that binding lasts or this task runs, whichever is longer.
  const T* Get(Io& io) const {
    const internal::LocalNode* node =
        io.CurrentTask("TaskLocal::Get").locals_.get();
    while (node != nullptr && node->key != this) node = node->next.get();
    return node == nullptr ? nullptr : static_cast<const T*>(node->value.get());
  }

  // Binds a value from its construction to its destruction, in this task and
  // in those it starts meanwhile. Bindings end in reverse order.
  class Binding {
   public:
    Binding(Io& io, const TaskLocal& local, T value)
        : task_(io.CurrentTask("TaskLocal::Binding")),
          previous_(task_.locals_) {
      task_.locals_ =
          std::make_shared<const internal::LocalNode>(internal::LocalNode{
              &local, previous_, std::make_shared<const T>(std::move(value))});
    }
    ~Binding() { task_.locals_ = std::move(previous_); }
    Binding(const Binding&) = delete;
    Binding& operator=(const Binding&) = delete;

   private:
    Task& task_;
    std::shared_ptr<const internal::LocalNode> previous_;
  };
};

}  // namespace weft

#endif  // WEFT_RUNTIME_TASK_LOCAL_H_
