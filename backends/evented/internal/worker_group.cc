#include "weft/backends/evented/internal/worker_group.h"

#include <pthread.h>
#include <signal.h>

#include <functional>
#include <mutex>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "weft/runtime/internal/check.h"
#include "weft/runtime/internal/dump_signal.h"
#include "weft/runtime/internal/parking_lot.h"
#include "weft/runtime/internal/signal_stack.h"
#include "weft/runtime/internal/task_record.h"

namespace weft::internal {
namespace {

// A write to a peer that is gone raises SIGPIPE on the thread that enters the
// kernel; with EPIPE as its result that is one answer too many.
void BlockSigpipe() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

// A worker passes a new task on if it has more than so many tasks more than
// the other one. Below that, staying where the data is in the cache is worth
// more.
constexpr uint32_t kPlacementSlack = 4;

// How long an inspection waits for workers, and how often a worker that waits
// looks for what others ask of it.
constexpr Duration kInspectionPatience = std::chrono::seconds(2);
constexpr Duration kInspectionSlice = std::chrono::milliseconds(1);

}  // namespace

WorkerGroup::WorkerGroup(Io& io, const WorkerGroupOptions& options)
    : io_(io),
      options_(options),
      stacks_(options.stack_size,
              options.measure_stacks ? StackPages::kFresh : StackPages::kKept) {
  if (options.report_overflow) {
    crash_handlers_.emplace(CrashHandlers::Signals::kFaults);
  }
  for (uint32_t i = 0; i < options.workers; ++i) {
    workers_.push_back(std::make_unique<Worker>(*this, i));
  }
  watchdog_ = std::make_unique<Watchdog>(*this, options.watchdog);
}

WorkerGroup::~WorkerGroup() {
  if (const uint32_t left = tasks_.load(std::memory_order_relaxed); left > 0) {
    Misuse(absl::StrCat("an Evented was destroyed before its tasks had ended (",
                        left,
                        " left); let all calls of Run "
                        "return first"));
  }
  watchdog_->Stop();
  // Whoever resumed the last task may still be about to notify its worker.
  ParkingLot::AwaitResumes();
  stopping_.store(true, std::memory_order_seq_cst);
  if (!threads_.empty()) {
    for (const auto& worker : workers_) worker->Notify();
  }
  stop_announced_.count_down();
  for (std::thread& thread : threads_) thread.join();
}

// What the workers and the thread that starts them agree on.
struct WorkerGroup::StartUp {
  explicit StartUp(uint32_t workers)
      : set_up(static_cast<std::ptrdiff_t>(workers)) {}

  void Report(const absl::Status& status) {
    const std::lock_guard lock(mutex);
    first_error.Update(status);
    set_up.count_down();
  }

  std::mutex mutex;
  absl::Status first_error;  // guarded by mutex
  std::latch set_up;         // all have reported
  std::latch decided{1};     // `go` says whether to run
  bool go = false;
};

absl::Status WorkerGroup::Start() {
  const auto start_up = std::make_shared<StartUp>(options_.workers);
  for (const auto& worker : workers_) {
    try {
      threads_.emplace_back(&WorkerGroup::Serve, this, std::ref(*worker),
                            start_up);
    } catch (const std::system_error& error) {
      start_up->Report(absl::ResourceExhaustedError(
          absl::StrCat("start worker ", worker->index(), ": ", error.what())));
    }
  }
  start_up->set_up.wait();
  absl::Status first_error = start_up->first_error;
  start_up->go = first_error.ok();
  start_up->decided.count_down();
  if (!first_error.ok()) {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    return first_error;
  }
  return watchdog_->Start(
      {.dump_signal = options_.dump_signal,
       .look_every = Watchdog::LookEvery(options_.watchdog)});
}

void WorkerGroup::Serve(Worker& worker,
                        const std::shared_ptr<StartUp>& start_up) {
  pthread_setname_np(pthread_self(),
                     absl::StrCat("weft-", worker.index()).c_str());
  BlockSigpipe();
  const SignalStack signal_stack;
  start_up->Report(worker.SetUp());
  // Nobody runs, steals or posts before all are set up.
  start_up->decided.wait();
  if (start_up->go) {
    worker.Loop();
    stop_announced_.wait();
  }
  worker.TearDown();
}

absl::Status WorkerGroup::StartTask(Task& task) {
  if (absl::Status status = task.CheckStackSize(); !status.ok()) return status;
  if (tasks_.fetch_add(1, std::memory_order_relaxed) >= options_.max_tasks) {
    TaskEnded();
    return absl::ResourceExhaustedError(
        absl::StrCat("start task '", task.name(), "': the limit of ",
                     options_.max_tasks, " tasks is reached"));
  }
  if (absl::Status status = stacks_.Reserve(task.stack_size()); !status.ok()) {
    TaskEnded();
    return status;
  }
  task.AddReference();
  TaskRegistry::Enter(task.record, &io_, "evented");
  const bool woke = Place().PostTask(task);
  // A partner of Worker::WaitForWork: the task was added first.
  if (!woke && idle_.load(std::memory_order_seq_cst) > 0) WakeOneIdle();
  return absl::OkStatus();
}

Worker& WorkerGroup::Place() {
  const uint32_t turn = next_.fetch_add(1, std::memory_order_relaxed);
  Worker& candidate = *workers_[turn % workers_.size()];
  Worker* const own = Worker::OfThisThread();
  if (own == nullptr || &own->group() != this) return candidate;
  return own->load() > candidate.load() + kPlacementSlack ? candidate : *own;
}

void WorkerGroup::WakeOneIdle() {
  for (const auto& worker : workers_) {
    if (worker->NotifyIfWaiting()) return;
  }
}

void WorkerGroup::Inspect(const std::shared_ptr<TaskInspection>& inspection) {
  const auto request =
      std::make_shared<InspectionRequest>(inspection, workers_.size());
  for (const auto& worker : workers_) worker->PostInspection(request);
  Worker* const own = Worker::OfThisThread();
  if (own == nullptr) {
    if (request->Await(kInspectionPatience)) return;
  } else {
    // Two workers may wait for each other here.
    const MonotonicTime end = KernelMonotonicNow() + kInspectionPatience;
    do {
      own->AnswerInspections();
      if (request->Await(kInspectionSlice)) return;
    } while (KernelMonotonicNow() < end);
  }
  ReportUnanswered(*request);
}

void WorkerGroup::ReportUnanswered(InspectionRequest& request) {
  std::vector<TaskSnapshot> unanswered;
  TaskRegistry::ForEach([&](const TaskRecord& record) {
    const int32_t index = record.worker.load(std::memory_order_relaxed);
    if (record.instance.load(std::memory_order_relaxed) != &io_ || index < 0 ||
        request.HasAnswered(static_cast<uint32_t>(index))) {
      return;
    }
    TaskSnapshot snapshot(record);
    snapshot.runs = workers_[static_cast<size_t>(index)]->Runs(record);
    snapshot.no_backtrace = "its worker is busy";
    unanswered.push_back(std::move(snapshot));
  });
  for (TaskSnapshot& task : unanswered) {
    if (task.runs && options_.dump_signal != 0 &&
        DumpSignal::TakeBacktraceOf(task.thread, task.backtrace)) {
      task.no_backtrace.clear();
    }
    request.results().Add(std::move(task));
  }
}

std::string WorkerGroup::DescribeDriver() const {
  std::string driver = workers_.front()->driver().Describe();
  if (options_.perturb_seed == 0) return driver;
  return absl::StrCat(driver, "; perturb_seed ", options_.perturb_seed);
}

}  // namespace weft::internal
