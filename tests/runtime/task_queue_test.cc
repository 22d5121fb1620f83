#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "weft/backends/threaded/threaded.h"
#include "weft/runtime/task.h"

namespace weft {
namespace {

using internal::TaskPointer;
using internal::TaskQueue;

// Counts how many of its kind exist.
class CountedTask final : public Task {
 public:
  CountedTask(Io& io, int& alive) : Task(io, nullptr, {}), alive_(alive) {
    ++alive_;
  }

 private:
  ~CountedTask() override { --alive_; }
  void Run() override {}
  void AnnounceEnd() override {}

  int& alive_;
};

class TaskQueueTest : public ::testing::Test {
 protected:
  Task& Make() {
    tasks_.emplace_back(new CountedTask(*io_, alive_));
    return *tasks_.back();
  }

  const std::unique_ptr<Threaded> io_ = *Threaded::Create();
  int alive_ = 0;
  std::vector<TaskPointer<CountedTask>> tasks_;
  TaskQueue queue_;
};

TEST_F(TaskQueueTest, IsEmptyAtFirst) {
  EXPECT_TRUE(queue_.empty());
  EXPECT_EQ(queue_.size(), 0u);
  EXPECT_EQ(queue_.PopFront(), nullptr);
}

TEST_F(TaskQueueTest, FirstInIsFirstOut) {
  Task& first = Make();
  Task& second = Make();
  Task& third = Make();
  queue_.PushBack(first);
  queue_.PushBack(second);
  queue_.PushBack(third);
  EXPECT_EQ(queue_.size(), 3u);
  EXPECT_FALSE(queue_.empty());
  EXPECT_EQ(queue_.PopFront(), &first);
  EXPECT_EQ(queue_.PopFront(), &second);
  EXPECT_EQ(queue_.size(), 1u);
  EXPECT_EQ(queue_.PopFront(), &third);
  EXPECT_TRUE(queue_.empty());
  EXPECT_EQ(queue_.PopFront(), nullptr);
}

TEST_F(TaskQueueTest, KeepsItsOrderWhenRefilled) {
  Task& first = Make();
  Task& second = Make();
  Task& third = Make();
  queue_.PushBack(first);
  EXPECT_EQ(queue_.PopFront(), &first);
  queue_.PushBack(second);
  queue_.PushBack(first);
  EXPECT_EQ(queue_.PopFront(), &second);
  queue_.PushBack(third);
  EXPECT_EQ(queue_.PopFront(), &first);
  EXPECT_EQ(queue_.PopFront(), &third);
  EXPECT_TRUE(queue_.empty());
}

TEST_F(TaskQueueTest, TasksLiveUntilTheLastReferenceIsDropped) {
  Task& task = Make();
  EXPECT_EQ(alive_, 1);
  task.AddReference();
  tasks_.clear();
  EXPECT_EQ(alive_, 1);
  task.DropReference();
  EXPECT_EQ(alive_, 0);
}

TEST_F(TaskQueueTest, EveryTaskHasItsOwnId) {
  EXPECT_NE(Make().id(), Make().id());
}

}  // namespace
}  // namespace weft
