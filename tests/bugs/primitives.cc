#include "weft/tests/bugs/primitives.h"

#include "weft/tests/bugs/channels.h"
#include "weft/tests/bugs/locks.h"
#include "weft/tests/bugs/signals.h"

namespace weft::bugs {
namespace {

constexpr Program kPrimitives[] = {
    {"mutex_of_three", MutexOfThree},
    {"mutex_locked_again", MutexLockedAgain},
    {"mutex_wait", MutexWait<Interrupt::kNone>},
    {"mutex_wait_cancel", MutexWait<Interrupt::kCancel>},
    {"mutex_wait_deadline", MutexWait<Interrupt::kDeadline>},
    {"shared_mutex_of_three", SharedMutexOfThree},
    {"shared_mutex_order", SharedMutexOrder},
    {"shared_mutex_wait", SharedMutexWait<Interrupt::kNone>},
    {"shared_mutex_wait_cancel", SharedMutexWait<Interrupt::kCancel>},
    {"shared_mutex_wait_deadline", SharedMutexWait<Interrupt::kDeadline>},
    {"shared_mutex_through_cancel", SharedMutexThrough<Interrupt::kCancel>},
    {"shared_mutex_through_deadline", SharedMutexThrough<Interrupt::kDeadline>},
    {"semaphore_of_three", SemaphoreOfThree},
    {"semaphore_wait", SemaphoreWait<Interrupt::kNone>},
    {"semaphore_wait_cancel", SemaphoreWait<Interrupt::kCancel>},
    {"semaphore_wait_deadline", SemaphoreWait<Interrupt::kDeadline>},
    {"semaphore_of_several", SemaphoreOfSeveral<Interrupt::kNone>},
    {"semaphore_of_several_cancel", SemaphoreOfSeveral<Interrupt::kCancel>},
    {"semaphore_of_several_deadline", SemaphoreOfSeveral<Interrupt::kDeadline>},
    {"condition_notify_all", ConditionNotifyAll},
    {"condition_wait", ConditionWait<Interrupt::kNone>},
    {"condition_wait_cancel", ConditionWait<Interrupt::kCancel>},
    {"condition_wait_deadline", ConditionWait<Interrupt::kDeadline>},
    {"event_reset", EventReset},
    {"event_wait", EventWait<Interrupt::kNone>},
    {"event_wait_cancel", EventWait<Interrupt::kCancel>},
    {"event_wait_deadline", EventWait<Interrupt::kDeadline>},
    {"event_select", EventSelect<Interrupt::kNone>},
    {"event_select_cancel", EventSelect<Interrupt::kCancel>},
    {"event_select_deadline", EventSelect<Interrupt::kDeadline>},
    {"latch_wait", LatchWait<Interrupt::kNone>},
    {"latch_wait_cancel", LatchWait<Interrupt::kCancel>},
    {"latch_wait_deadline", LatchWait<Interrupt::kDeadline>},
    {"barrier_of_three", BarrierOfThree},
    {"barrier_wait", BarrierWait<Interrupt::kNone>},
    {"barrier_wait_cancel", BarrierWait<Interrupt::kCancel>},
    {"barrier_wait_deadline", BarrierWait<Interrupt::kDeadline>},
    {"once_wait", OnceWait<Interrupt::kNone>},
    {"once_wait_cancel", OnceWait<Interrupt::kCancel>},
    {"once_wait_deadline", OnceWait<Interrupt::kDeadline>},
    {"channel_0_send", ChannelSend<0, Interrupt::kNone>},
    {"channel_0_send_cancel", ChannelSend<0, Interrupt::kCancel>},
    {"channel_0_send_deadline", ChannelSend<0, Interrupt::kDeadline>},
    {"channel_1_send", ChannelSend<1, Interrupt::kNone>},
    {"channel_1_send_cancel", ChannelSend<1, Interrupt::kCancel>},
    {"channel_1_send_deadline", ChannelSend<1, Interrupt::kDeadline>},
    {"channel_0_receive", ChannelReceive<0, Interrupt::kNone>},
    {"channel_0_receive_cancel", ChannelReceive<0, Interrupt::kCancel>},
    {"channel_0_receive_deadline", ChannelReceive<0, Interrupt::kDeadline>},
    {"channel_1_receive", ChannelReceive<1, Interrupt::kNone>},
    {"channel_1_receive_cancel", ChannelReceive<1, Interrupt::kCancel>},
    {"channel_1_receive_deadline", ChannelReceive<1, Interrupt::kDeadline>},
    {"channel_0_close", ChannelClose<0, Interrupt::kNone>},
    {"channel_0_close_cancel", ChannelClose<0, Interrupt::kCancel>},
    {"channel_0_close_deadline", ChannelClose<0, Interrupt::kDeadline>},
    {"channel_1_close", ChannelClose<1, Interrupt::kNone>},
    {"channel_1_close_cancel", ChannelClose<1, Interrupt::kCancel>},
    {"channel_1_close_deadline", ChannelClose<1, Interrupt::kDeadline>},
    {"broadcast_receive", BroadcastReceive<Interrupt::kNone>},
    {"broadcast_receive_cancel", BroadcastReceive<Interrupt::kCancel>},
    {"broadcast_receive_deadline", BroadcastReceive<Interrupt::kDeadline>},
    {"select_meets_select", SelectMeetsSelect},
    {"select_receive", SelectReceive<Interrupt::kNone>},
    {"select_receive_cancel", SelectReceive<Interrupt::kCancel>},
    {"select_receive_deadline", SelectReceive<Interrupt::kDeadline>},
    {"select_send", SelectSend<Interrupt::kNone>},
    {"select_send_cancel", SelectSend<Interrupt::kCancel>},
    {"select_send_deadline", SelectSend<Interrupt::kDeadline>},
    {"select_first", SelectFirst<Interrupt::kNone>},
    {"select_first_cancel", SelectFirst<Interrupt::kCancel>},
    {"select_first_deadline", SelectFirst<Interrupt::kDeadline>},
};

}  // namespace

std::span<const Program> Primitives() { return kPrimitives; }

}  // namespace weft::bugs
