#!/usr/bin/env python3
"""Looks with gdb into a program and a plugin that have a copy of weft each.

usage: gdb_test.py TWO_RUNTIMES_TEST
"""

import os
import re
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
sys.dont_write_bytecode = True
import debugger  # pylint: disable=wrong-import-position

CASE = "TwoRuntimesTest.PluginRunsWhileATaskOfTheHostWaits"
# Of what `weft tasks` prints of an Evented: id and state.
ROW = re.compile(r"^([\d.]+) +\w+ +evented +worker \d+, LWP \d+ +(\S.*)$",
                 re.MULTILINE)
# Of the host and of the plugin, what `weft tasks` has to show.
EXPECTED = [r"1: waits: event ", r"2\.\d+: waits: the end of task group ",
            r"2\.\d+: runs "]


def gdb(*arguments, commands):
    return "".join(debugger.gdb(*arguments, commands=commands, timeout=100))


def look_into(program):
    # The plugin uses a Threaded first and then an Evented.
    text = gdb("--args", program, f"--gtest_filter={CASE}",
               commands=["set breakpoint pending on",
                         "break weft_plugin_task_runs", "run", "continue",
                         "weft tasks", "weft bt all", "kill"])
    tasks = {row[1]: row[2] for row in ROW.finditer(text)}
    shown = "\n".join(f"{task}: {state}" for task, state in tasks.items())
    for expected in EXPECTED:
        if not re.search(f"^{expected}", shown, re.MULTILINE):
            return f"no task is '{expected}'\n{text}"
    for task in tasks:
        backtrace = text.partition(f"Task {task} ")[2].partition("\nTask ")[0]
        if "Context::Start" not in backtrace:
            return f"the backtrace of task {task} has no end\n{text}"
    return None


def why_not():
    """Why gdb cannot be used here; None if it can."""
    if not shutil.which("gdb"):
        return "gdb is not installed"
    text = gdb("/bin/true", commands=["run", "python print(6 * 7)"])
    if "exited normally" not in text or "42" not in text:
        return "gdb cannot run a program, or has no Python: " + text
    return None


if __name__ == "__main__":
    REASON = why_not()
    if REASON is not None:
        print("skipped:", REASON)
        sys.exit(debugger.SKIPPED)
    sys.exit(look_into(sys.argv[1]))
