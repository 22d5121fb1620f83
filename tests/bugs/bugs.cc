#include "weft/tests/bugs/bugs.h"

#include "weft/tests/bugs/aba.h"
#include "weft/tests/bugs/account.h"
#include "weft/tests/bugs/bluetooth.h"
#include "weft/tests/bugs/bounded_buffer.h"
#include "weft/tests/bugs/cancelled_select.h"
#include "weft/tests/bugs/circular_buffer.h"
#include "weft/tests/bugs/closed_under_reader.h"
#include "weft/tests/bugs/closed_under_sender.h"
#include "weft/tests/bugs/deadline_drops_part.h"
#include "weft/tests/bugs/lazy_init.h"
#include "weft/tests/bugs/lost_wake_up.h"
#include "weft/tests/bugs/opposite_locks.h"
#include "weft/tests/bugs/philosophers.h"
#include "weft/tests/bugs/pool_check_then_take.h"
#include "weft/tests/bugs/pool_event_reset.h"
#include "weft/tests/bugs/queue.h"
#include "weft/tests/bugs/reader_recursion.h"
#include "weft/tests/bugs/reorder.h"
#include "weft/tests/bugs/safe_stack.h"
#include "weft/tests/bugs/select_loses_value.h"
#include "weft/tests/bugs/spin_on_flag.h"
#include "weft/tests/bugs/stack.h"
#include "weft/tests/bugs/stale_upgrade.h"
#include "weft/tests/bugs/string_buffer.h"
#include "weft/tests/bugs/swallowed_cancel.h"
#include "weft/tests/bugs/swallowed_notify.h"
#include "weft/tests/bugs/timer_cleared.h"
#include "weft/tests/bugs/token_ring.h"
#include "weft/tests/bugs/two_stage.h"
#include "weft/tests/bugs/uneven.h"
#include "weft/tests/bugs/work_stealing.h"
#include "weft/tests/bugs/work_stealing_reuse.h"

namespace weft::bugs {
namespace {

constexpr Bug kBugs[] = {
    {"bounded_buffer", "one condition, notify-one", 15, BoundedBuffer<false>,
     BoundedBuffer<true>},
    {"philosophers_2", "dining philosophers", 3, Philosophers<2, false>,
     Philosophers<2, true>},
    {"philosophers_3", "dining philosophers", 7, Philosophers<3, false>,
     Philosophers<3, true>},
    {"philosophers_4", "dining philosophers", 10, Philosophers<4, false>,
     Philosophers<4, true>},
    {"philosophers_5", "dining philosophers", 15, Philosophers<5, false>,
     Philosophers<5, true>},
    {"philosophers_6", "dining philosophers", 27, Philosophers<6, false>,
     Philosophers<6, true>},
    {"opposite_locks", "two locks in opposite order", 20, OppositeLocks<false>,
     OppositeLocks<true>},
    {"lost_wake_up", "check outside the lock", 10, LostWakeUp<false>,
     LostWakeUp<true>},
    {"swallowed_notify", "cancelled waiter swallows a notify", 3,
     SwallowedNotify<false>, SwallowedNotify<true>},
    {"pool_event_reset", "pool with event reset", 27, PoolEventReset<false>,
     PoolEventReset<true>},
    {"pool_check_then_take", "check and take apart", 19,
     PoolCheckThenTake<false>, PoolCheckThenTake<true>},
    {"aba", "ABA on a free list", 70, Aba<false>, Aba<true>},
    {"reorder_3", "SCTBench reorder", 7, Reorder<3, false>, Reorder<3, true>},
    {"reorder_5", "SCTBench reorder", 8, Reorder<5, false>, Reorder<5, true>},
    {"reorder_10", "SCTBench reorder", 12, Reorder<10, false>,
     Reorder<10, true>},
    {"two_stage_2", "SCTBench twostage", 8, TwoStage<2, false>,
     TwoStage<2, true>},
    {"two_stage_20", "SCTBench twostage", 22, TwoStage<20, false>,
     TwoStage<20, true>},
    {"two_stage_50", "SCTBench twostage", 35, TwoStage<50, false>,
     TwoStage<50, true>},
    {"account", "SCTBench account", 12, Account<false>, Account<true>},
    {"queue", "SCTBench queue", 12, Queue<false>, Queue<true>},
    {"stack", "SCTBench stack", 12, Stack<false>, Stack<true>},
    {"lazy_init", "SCTBench lazy01", 12, LazyInit<false>, LazyInit<true>},
    {"token_ring", "SCTBench token_ring", 12, TokenRing<false>,
     TokenRing<true>},
    {"circular_buffer", "SCTBench circular_buffer", 12, CircularBuffer<false>,
     CircularBuffer<true>},
    {"bluetooth", "Bluetooth driver", 195, Bluetooth<false>, Bluetooth<true>},
    {"string_buffer", "JDK string buffer", 195, StringBuffers<false>,
     StringBuffers<true>},
    {"work_stealing", "CHESS work stealing", 24, WorkStealing<false>,
     WorkStealing<true>},
    {"work_stealing_reuse", "CHESS work stealing", 24, WorkStealingReuse<false>,
     WorkStealingReuse<true>},
    {"uneven", "uneven workload", 1000, Uneven<false>, Uneven<true>},
    {"stale_upgrade", "from the field", 0, StaleUpgrade<false>,
     StaleUpgrade<true>},
    {"reader_recursion", "from the field", 0, ReaderRecursion<false>,
     ReaderRecursion<true>},
    {"closed_under_sender", "from the field", 0, ClosedUnderSender<false>,
     ClosedUnderSender<true>},
    {"closed_under_reader", "from the field", 0, ClosedUnderReader<false>,
     ClosedUnderReader<true>},
    {"select_loses_value", "from the field", 0, SelectLosesValue<false>,
     SelectLosesValue<true>},
    {"cancelled_select", "from the field", 0, CancelledSelect<false>,
     CancelledSelect<true>},
    {"swallowed_cancel", "from the field", 0, SwallowedCancel<false>,
     SwallowedCancel<true>},
    {"deadline_drops_part", "from the field", 0, DeadlineDropsPart<false>,
     DeadlineDropsPart<true>},
    {"timer_cleared", "from the field", 0, TimerCleared<false>,
     TimerCleared<true>},
    {"spin_on_flag", "from the field", 0, SpinOnFlag<false>, SpinOnFlag<true>},
    {"safe_stack", "SafeStack", 0, SafeStack<false>, SafeStack<true>, true},
};

}  // namespace

std::span<const Bug> AllBugs() { return kBugs; }

}  // namespace weft::bugs
