#include "weft/backends/threaded/internal/thread_pool.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "weft/backends/threaded/internal/thread_record.h"
#include "weft/runtime/internal/check.h"
#include "weft/runtime/internal/current.h"
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
};

}  // namespace

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
  {
    const std::lock_guard lock(mutex_);
    if (absl::Status status = CountLocked(task.name()); !status.ok()) {
      return status;
    }
    task.AddReference();
    TaskRegistry::Enter(task.record, &io_, "threaded");
    if (!idle_.empty()) {
      IdleThread& idle = *idle_.back();
      idle_.pop_back();
      idle.task = &task;
      idle.wake.notify_one();
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

absl::Status ThreadPool::StartThread(Task& task) {
  JoinEnded();
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, options_.stack_size);
  auto start = std::make_unique<ThreadStart>(ThreadStart{this, &task});
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
  start->pool->Serve(start->task);
  return nullptr;
}

void ThreadPool::Serve(Task* task) {
  ThreadRecord& record = ThreadRecord::Acquire();
  for (; task != nullptr; task = AwaitTask()) {
    // The task must be known before `carrier` is set: from then on Interrupt
    // goes through the record.
    record.SetTask(task);
    task->runner = &record;
    task->record.thread.store(record.thread_id(), std::memory_order_relaxed);
    task->carrier.store(&record, std::memory_order_seq_cst);
    RunTask(*task);
    record.SetTask(nullptr);
    task->DropReference();
  }
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
  task.Execute();
  TaskRegistry::Leave(task.record);
  // Before the end is announced: who awaited a task may start the next one.
  UncountTask();
  task.Announce();
  current.io = nullptr;
  current.task = nullptr;
}

Task* ThreadPool::AwaitTask() {
  NameThread("weft idle");
  IdleThread self;
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
