#!/usr/bin/env python3
"""Looks into a relay that runs, and into a core file of it, with gdb.

usage: gdb_test.py RELAY SOURCE [-v] [Class[.test]]...
"""

import os
import re
import shutil
import subprocess
import sys
import unittest

from harness import FAULTY, PATIENCE, UPSTREAMS, WRAPPER, RelayTest, main

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
sys.dont_write_bytecode = True
import debugger  # pylint: disable=wrong-import-position

# Of what `weft tasks` prints.
ROW = re.compile(r"^(?P<id>\d+) +(?P<name>.+?)  +(?P<backend>\w+)  +"
                 r"(?P<where>(worker \d+, )?LWP \d+)  +(?P<state>.+?)  +"
                 r"(?P<place>-|\S+:\d+)$", re.MULTILINE)
TASK = re.compile(r"^Task (\d+) '", re.MULTILINE)
FRAME = re.compile(r"^#(\d+) +(?:0x[0-9a-f]+ in )?(.*)$", re.MULTILINE)


def gdb(*arguments, commands):
    return debugger.gdb(*arguments, commands=commands, timeout=PATIENCE)


def guarded_bytes(process):
    """The size of the mappings that have guard pages inside."""
    with open(f"/proc/{process}/smaps", encoding="utf-8") as smaps:
        mappings = re.findall(r"^Size: +(\d+) kB\n(?:\w+: .*\n)*?VmFlags:(.*)$",
                              smaps.read(), re.MULTILINE)
    return sum(int(size) * 1024 for size, flags in mappings if " gu" in flags)


def backtraces(text):
    """Task id: (heading, frames), each frame as it is printed."""
    parts = TASK.split(text)
    found = {}
    for task, part in zip(parts[1::2], parts[2::2]):
        heading, _, frames = part.partition("\n")
        found[task] = (heading, [frame for _, frame in FRAME.findall(frames)])
    return found


@unittest.skipIf(WRAPPER, "gdb would see what runs the relay")
class Gdb(RelayTest):
    def look_into(self, backend):
        """What gdb shows of a live relay, and of a core file of it."""
        relay, _, health = self.start_both(backend, PATIENCE)
        self.await_health(
            health, lambda report: report["connected"] >= UPSTREAMS)
        core = os.path.join(os.path.dirname(self.log), "core")
        commands = ("weft tasks", "weft bt all")
        guarded = guarded_bytes(relay.pid)
        live, error = gdb(
            "-p", str(relay.pid), commands=(*commands, f"weft core {core}"))
        self.assertTrue(os.path.exists(core), live + error)
        self.assertIsNone(relay.poll(), "gdb has ended the relay")
        # Pages of stacks that were never touched take no space.
        if guarded > 0:
            written = os.stat(core).st_blocks * 512
            self.assertLess(written, os.stat(core).st_size - guarded // 2)
        # Without what -g adds: the symbol table and unwind tables are left.
        bare = os.path.join(os.path.dirname(self.log), "relay")
        subprocess.run(["strip", "-g", "-o", bare, relay.args[0]], check=True)
        dead, error = gdb(bare, core, commands=(*commands, "weft core never"))
        self.assertNotIn("Python Exception", error)
        self.assertIn("weft: You can't do that without a process", error)
        return live, dead

    def check(self, backend, text):
        tasks = {row["id"]: row for row in ROW.finditer(text)}
        self.assertGreaterEqual(len(tasks), UPSTREAMS + FAULTY, text)
        for task in tasks.values():
            self.assertEqual(task["backend"], backend)
            self.assertEqual(task["where"].startswith("worker "),
                             backend == "evented")
        states = {task["state"] for task in tasks.values()}
        self.assertTrue(any(re.fullmatch(r"waits: recv of descriptor \d+", s)
                            for s in states), states)
        self.assertTrue(any(re.fullmatch(r"waits: accept of descriptor \d+", s)
                            for s in states), states)
        group = r"waits: the end of task group 0x[0-9a-f]+"
        self.assertTrue(any(re.fullmatch(group, s) for s in states), states)
        traces = backtraces(text)
        self.assertEqual(set(traces), set(tasks))
        for heading, frames in traces.values():
            # What runs may have been stopped on its way in or out.
            if "waits: " in heading:
                self.check_backtrace(backend, heading, frames)
        return tasks

    def check_backtrace(self, backend, heading, frames):
        """It goes through the code of the relay to the first frame."""
        text = heading + "\n" + "\n".join(frames)
        self.assertTrue(any("relay" in frame for frame in frames), text)
        # The C library, where threads begin, may be without its symbols.
        self.assertFalse(any(
            frame.startswith("??") and " from /" not in frame
            for frame in frames), text)
        if backend == "evented":
            self.assertIn("weft::internal::Context::Start", frames[-1], text)
            # gdb knows no more of the name where Clang wrote short lines.
            self.assertIn("FiberMain", frames[-2], text)

    def look_at_both(self, backend):
        live, dead = self.look_into(backend)
        tasks = self.check(backend, live)
        self.assertEqual({key: row[0] for key, row in tasks.items()},
                         {key: row[0] for key, row
                          in self.check(backend, dead).items()})

    def test_evented(self):
        self.look_at_both("evented")

    def test_threaded(self):
        self.look_at_both("threaded")


def why_not():
    """Why gdb cannot be used here; None if it can."""
    if not shutil.which("gdb"):
        return "gdb is not installed"
    # A process of our own is what gdb will have to attach to.
    with subprocess.Popen(["sleep", str(PATIENCE)]) as process:
        out, error = gdb("-p", str(process.pid), commands=["python print(1)"])
        process.kill()
    if "ptrace" in error:
        return "gdb may not trace: " + error.strip()
    if "1\n" not in out:
        return "gdb has no Python: " + error.strip()
    return None


if __name__ == "__main__":
    REASON = why_not()
    if REASON is not None:
        print("skipped:", REASON)
        sys.exit(debugger.SKIPPED)
    main()
