#!/usr/bin/env python3
"""weft's own primitives with one line wrong each.

A mutant is a source of sync/internal with one line replaced. The build compiles
it, links it instead of the right one into a program of its own, and
tools/explore --mutants lets that program explore the primitive: it has to find
what the line breaks, and nothing while the line is right.

usage: mutants.py --list             names, one a line
       mutants.py --table            names, programs and what is wrong, as JSON
       mutants.py --check            every line is there exactly once
       mutants.py NAME --output FILE the source with its line replaced
"""

import argparse
import dataclasses
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]


@dataclasses.dataclass
class Mutant:
    name: str
    source: str  # in sync/internal
    line: str  # as it stands there, indentation included
    replacement: str
    program: str  # of tests/bugs/primitives.cc, which finds it
    breaks: str


MUTANTS = [
    Mutant("parker_wake_before_store", "wait_list.cc",
           "  word_.store(kReady, std::memory_order_release);",
           "  io.FutexWake(address, 1); word_.store(kReady); return;",
           "semaphore_wait",
           "wakes first and stores what the waiter looks for afterwards"),
    Mutant("condition_missing_wake", "condition_core.cc",
           "  if (waiter != nullptr) waiter->parker.Resume(io);",
           "  (void)io, (void)waiter;",
           "condition_wait", "takes a waiter off the list and never wakes it"),
    Mutant("condition_swallowed_notify", "condition_core.cc",
           "    waiter = waiters_.PopClaimed();",
           "    if (!waiters_.empty()) { waiter = &waiters_.front(); "
           "waiters_.PopFront(); if (!waiter->parker.Claim()) "
           "waiter = nullptr; }",
           "condition_notify_cancel",
           "spends a notify on a waiter that is giving up"),
    Mutant("semaphore_permit_lost", "semaphore_core.cc",
           "    if (first.parker.Claim()) {",
           "    if (first.parker.Claim() || true) {",
           "semaphore_wait_cancel",
           "gives permits to a waiter that is giving up"),
    Mutant("semaphore_no_grant", "semaphore_core.cc",
           "    GrantTo(granted);",
           "    (void)granted;",
           "semaphore_of_several_cancel",
           "who gives up at the front lets nobody through"),
    Mutant("event_reset_loses_waiter", "event_core.cc",
           "      (seen & ~kWatched) == before &&",
           "      (seen & kSet) == 0 &&",
           "event_reset", "a reset makes those wait again that were let go"),
    Mutant("event_forgets_plain_waiters", "event_core.cc",
           "  io.FutexWake(address, UINT32_MAX);",
           "  (void)address;",
           "event_select", "while a Select watches, a set wakes only that"),
    Mutant("latch_forgotten_recheck", "latch_core.cc",
           "  while (seen != 0 && (reason == WakeReason::kWoken ||",
           "  if (seen != 0 && (reason == WakeReason::kWoken ||",
           "latch_wait", "a change of the count is taken for its end"),
    Mutant("latch_wakes_one", "latch_core.cc",
           "  if (by != 0 && seen == by) io.FutexWake(address, UINT32_MAX);",
           "  if (by != 0 && seen == by) io.FutexWake(address, 1);",
           "latch_wait", "wakes one of all that wait"),
    Mutant("channel_close_leaves_senders", "channel_core.cc",
           "    for (WaitList<Waiter>* const list : {&senders_, "
           "&receivers_}) {",
           "    for (WaitList<Waiter>* const list : {&receivers_}) {",
           "channel_0_close", "closing does not wake who waits to send"),
    Mutant("channel_room_not_given", "channel_core.cc",
           "  partner = senders_.PopClaimed();",
           "  partner = buffered ? nullptr : senders_.PopClaimed();",
           "channel_room", "room that became free goes to no sender"),
    Mutant("select_claims_nothing", "select_core.cc",
           "    if (parker.Claim()) return i;",
           "    return i;",
           "event_select_both",
           "chooses a branch that another may choose as well"),
    Mutant("select_missing_wake", "select_core.cc",
           "  if (partner != nullptr) partner->Resume(io);",
           "  (void)partner;",
           "select_receive", "does not wake the partner whose value it took"),
    Mutant("once_leaves_waiters", "once_core.cc",
           "    next = waiters_.PopClaimed();",
           "    next = nullptr;",
           "once_wait", "after a failure it is nobody's turn"),
    Mutant("shared_mutex_two_writers", "shared_mutex_core.cc",
           "  return permits_.Acquire(io, count, deadline).ok();",
           "  return permits_.Acquire(io, count > 1 ? 1 : count, "
           "deadline).ok();",
           "shared_mutex_of_three", "a writer that waited takes one permit"),
    Mutant("shared_mutex_cancelled", "shared_mutex_core.cc",
           "  if (through) shield.emplace(io);",
           "  (void)wait;",
           "shared_mutex_through_cancel",
           "a cancel ends a wait that is no cancellation point"),
    Mutant("barrier_miscounts", "barrier_core.cc",
           "    --arrived_;",
           "    (void)arrived_;",
           "barrier_wait_cancel", "who gives up still counts as there"),
    Mutant("barrier_leaves_others", "barrier_core.cc",
           "    if (!waiters_.Remove(self)) return status;",
           "    waiters_.Remove(self);",
           "barrier_wait_cancel",
           "who is cancelled as the meeting is complete says it never came"),
    Mutant("mutex_contender_stays", "mutex_core.cc",
           "    contender_ = false;",
           "    (void)contender_;",
           "mutex_of_three",
           "unlocks rely on a woken waiter that has gone to sleep again"),
    Mutant("mutex_granted_and_free", "mutex_core.cc",
           "        if (contender_) ReleaseLocked();",
           "        ReleaseLocked();",
           "mutex_locked_again", "hands the mutex over and leaves it open"),
    Mutant("broadcast_wakes_one", "broadcast_core.cc",
           "  while (Waiter* const waiter = waiters_.PopClaimed()) {",
           "  if (Waiter* const waiter = waiters_.PopClaimed()) {",
           "broadcast_receive", "wakes one of all that wait"),
]


def path_of(mutant):
    return ROOT / "sync" / "internal" / mutant.source


def mutated(mutant):
    """The source with the line replaced; None unless it is there just once."""
    lines = path_of(mutant).read_text(encoding="utf-8").split("\n")
    if lines.count(mutant.line) != 1:
        return None
    lines[lines.index(mutant.line)] = mutant.replacement
    return "\n".join(lines)


def complain(mutant):
    print(f"{mutant.name}: not exactly one line of sync/internal/"
          f"{mutant.source} is\n{mutant.line}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name", nargs="?")
    parser.add_argument("--output")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if options.list:
        print("\n".join(mutant.name for mutant in MUTANTS))
    if options.table:
        print(json.dumps([dataclasses.asdict(mutant) for mutant in MUTANTS]))
    if options.list or options.table:
        return 0
    if not options.check and options.name is None:
        parser.error("name a mutant, or --list, --table or --check")
    wrong = 0
    for mutant in MUTANTS:
        if not options.check and mutant.name != options.name:
            continue
        text = mutated(mutant)
        if text is None:
            complain(mutant)
            wrong += 1
        elif options.output:
            pathlib.Path(options.output).write_text(text, encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
