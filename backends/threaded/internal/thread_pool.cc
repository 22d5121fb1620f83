#include "weft/backends/threaded/internal/thread_pool.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "weft/backends/threaded/internal/thread_record.h"
#include "weft/backends/threaded/internal/thread_stack.h"
#include "weft/runtime/internal/check.h"
#include "weft/runtime/internal/current.h"
#include "weft/runtime/internal/forks.h"
#include "weft/runtime/internal/task_record.h"

namespace weft::internal {
namespace {

// What `top -H` shows; the kernel takes 15 characters, pthread_setname_np(3).
void NameThread(const std::string& name) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
}

struct ThreadStart {
  ThreadPool* pool;
  Task* task;
  size_t stack_size;
};

}  // namespace

ThreadPool::ThreadPool(Io& io, const ThreadPoolOptions& options)
    : io_(io), options_(options) {
  if (options.report_overflow) {
    crash_handlers_.emplace(CrashHandlers::Signals::kFaults);
  }
}

ThreadPool::~ThreadPool() {
  {
    std::unique_lock lock(mutex_);
    if (tasks_ > 0) {
      Misuse(
          absl::StrCat("a Threaded was destroyed before its tasks had ended (",
                       tasks_, " left); await them first"));
    }
    stopping_ = true;
    for (IdleThread* idle : idle_) {
      idle->stop = true;
      idle->wake.notify_one();
    }
    all_ended_.wait(lock, [this] { return threads_ == 0; });
    WEFT_CHECK(idle_.empty());
  }
  JoinEnded();
}

absl::Status ThreadPool::Start(Task& task) {
  if (absl::Status status = task.CheckStackSize(); !status.ok()) return status;
  {
    const std::lock_guard lock(mutex_);
    if (absl::Status status = CountLocked(task.name()); !status.ok()) {
      return status;
    }
    task.AddReference();
    TaskRegistry::Enter(task.record, &io_, "threaded");
    if (IdleThread* const idle = TakeIdleLocked(StackSizeFor(task))) {
      idle->task = &task;
      idle->wake.notify_one();
      return absl::OkStatus();
    }
    ++threads_;
  }
  absl::Status status = StartThread(task);
  if (!status.ok()) {
    TaskRegistry::Leave(task.record);
    task.DropReference();
    UncountTask();
    const std::lock_guard lock(mutex_);
    --threads_;
  }
  return status;
}

ThreadPool::IdleThread* ThreadPool::TakeIdleLocked(size_t stack_size) {
  // Sizes that are not the usual one are rare: nearly always the last will do.
  const auto found = std::find_if(idle_.rbegin(), idle_.rend(),
                                  [stack_size](const IdleThread* idle) {
                                    return idle->stack_size == stack_size;
                                  });
  if (found == idle_.rend()) return nullptr;
  IdleThread* const idle = *found;
  idle_.erase(std::next(found).base());
  return idle;
}

absl::Status ThreadPool::StartThread(Task& task) {
  JoinEnded();
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  const size_t stack_size = StackSizeFor(task);
  pthread_attr_setstacksize(&attributes, stack_size);
  pthread_attr_setguardsize(&attributes, kGuardSize);
  auto start =
      std::make_unique<ThreadStart>(ThreadStart{this, &task, stack_size});
  pthread_t thread;
  const int error =
      pthread_create(&thread, &attributes, ThreadMain, start.get());
  pthread_attr_destroy(&attributes);
  if (error != 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("start task '", task.name(),
                     "': the system refused a thread: ", strerror(error)));
  }
  start.release();
  return absl::OkStatus();
}

void* ThreadPool::ThreadMain(void* argument) {
  const std::unique_ptr<ThreadStart> start(static_cast<ThreadStart*>(argument));
  start->pool->Serve(start->task, start->stack_size);
  return nullptr;
}

void ThreadPool::Serve(Task* task, size_t stack_size) {
  ThreadRecord& record = ThreadRecord::Acquire();
  std::optional<ThreadStack> stack;
  if (options_.report_overflow) stack.emplace();
  for (; task != nullptr; task = AwaitTask(stack_size)) {
    // The task must be known before `carrier` is set: from then on Interrupt
    // goes through the record.
    record.SetTask(task);
    task->runner = &record;
    task->record.thread.store(record.thread_id(), std::memory_order_relaxed);
    task->carrier.store(&record, std::memory_order_seq_cst);
    if (stack.has_value()) stack->SetOwner(task);
    RunTask(*task);
    if (stack.has_value()) stack->SetOwner(nullptr);
    record.SetTask(nullptr);
    task->DropReference();
  }
  stack.reset();
  ThreadRecord::Release(record);
  const std::lock_guard lock(mutex_);
  ended_.push_back(pthread_self());
  --threads_;
  all_ended_.notify_all();
}

void ThreadPool::RunTask(Task& task) {
  NameThread(task.name());
  current.io = &io_;
  current.task = &task;
  const BirthProcess birth_process;
  task.Execute();
  birth_process.Require("the end of a task");
  TaskRegistry::Leave(task.record);
  // Before the end is announced: who awaited a task may start the next one.
  UncountTask();
  task.Announce();
  current.io = nullptr;
  current.task = nullptr;
}

Task* ThreadPool::AwaitTask(size_t stack_size) {
  NameThread("weft idle");
  IdleThread self{.stack_size = stack_size, .wake = {}};
  std::unique_lock lock(mutex_);
  if (stopping_) return nullptr;
  idle_.push_back(&self);
  const bool called = self.wake.wait_for(lock, options_.idle_timeout, [&self] {
    return self.task != nullptr || self.stop;
  });
  if (!called || self.task == nullptr) std::erase(idle_, &self);
  return self.task;
}

absl::Status ThreadPool::CountTask(const std::string& name) {
  const std::lock_guard lock(mutex_);
  return CountLocked(name);
}

absl::Status ThreadPool::CountLocked(const std::string& name) {
  if (tasks_ >= options_.max_tasks) {
    return absl::ResourceExhaustedError(
        absl::StrCat("start task '", name, "': the limit of ",
                     options_.max_tasks, " tasks is reached"));
  }
  ++tasks_;
  return absl::OkStatus();
}

void ThreadPool::UncountTask() {
  const std::lock_guard lock(mutex_);
  --tasks_;
}

void ThreadPool::JoinEnded() {
  std::vector<pthread_t> ended;
  {
    const std::lock_guard lock(mutex_);
    ended.swap(ended_);
  }
  for (const pthread_t thread : ended) pthread_join(thread, nullptr);
}

uint32_t ThreadPool::threads() const {
  const std::lock_guard lock(mutex_);
  return threads_;
}

}  // namespace weft::internal
