"""Commands of gdb for the tasks of a program that uses weft.

    (gdb) source tools/gdb/weft.py
    (gdb) weft tasks           every task, and what it waits for
    (gdb) weft bt 17           the backtrace of task 17
    (gdb) weft bt all          those of all tasks
    (gdb) weft core FILE       writes a core file that has the stacks of fibers

They work on a live process and on a core file: nothing is called in the
program. The list needs its symbol table; backtraces need what they need of any
program: unwind tables, which are there unless they were taken out, and -g for
lines and arguments. Backtraces of fibers are for x86-64; docs/debugging.md has
more.
"""

import os
import re
import struct

import gdb
import gdb.unwinder

LAYOUT = "weft_debug_layout"
# What it is called in a shared library that is stripped; task_record.cc says
# why.
EXPORTED = "weft_debug_layout_exported"
VERSION = 1
# The fields of weft's DebugLayout, in order.
FIELDS = ("version", "shards", "shard_count", "shard_size", "shard_first",
          "next", "id", "parent", "name", "name_size", "file", "line",
          "backend", "thread", "worker", "stopped_at", "wait_what",
          "wait_object", "wait_task", "wait_descriptor")
# What Boost.Context leaves on a stack that it stops: the register and where it
# is, from the stack pointer that it keeps. The stack ends there for whoever is
# resumed.
SAVED = {"r12": 0x08, "r13": 0x10, "r14": 0x18, "r15": 0x20, "rbx": 0x28,
         "rbp": 0x30, "rip": 0x38}
SAVED_SIZE = 0x40


# Of an ELF file for 64 bits: the header and a program header.
ELF_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
PT_LOAD = 1
PAGE = 4096
# Of an entry of /proc/PID/pagemap, one for each page: it is in memory, or was
# and is swapped out; proc_pid_pagemap(5).
TOUCHED = 3 << 62

# What the list shows of a name.
MOST_OF_NAME = 40


class Problem(Exception):
    """Why a command cannot do what was asked for."""


def read(address, size, signed=False):
    memory = gdb.selected_inferior().read_memory(address, size)
    return int.from_bytes(bytes(memory), "little", signed=signed)


def read_text(address, size=None):
    if address == 0:
        return ""
    inferior = gdb.selected_inferior()
    if size is not None:
        text = bytes(inferior.read_memory(address, size))
    else:
        text = b""
        while not text.endswith(b"\0"):
            text += bytes(inferior.read_memory(address + len(text), 1))
        text = text[:-1]
    return text.decode(errors="replace")


def layouts():
    """Where the layouts lie: one for each copy of weft in the process."""
    found = set()
    for objfile in gdb.objfiles():
        symbol = objfile.lookup_global_symbol(LAYOUT)
        if symbol is not None:
            found.add(int(symbol.value().address))
    # Those that only the symbol tables know.
    listing = gdb.execute(f"info variables ^{LAYOUT}", to_string=True)
    for address, name in re.findall(r"^(0x[0-9a-f]+)\s+(\w+)$", listing,
                                    re.MULTILINE):
        if name in (LAYOUT, EXPORTED):
            found.add(int(address, 16))
    return sorted(found)


class Task:
    """A record of weft, read once. Ids have a prefix in all copies of weft but
    the first: each counts for itself."""

    def __init__(self, at, layout, prefix):
        def field(name, size=8, signed=False):
            return read(at + layout[name], size, signed)

        self.id = f"{prefix}{field('id')}"
        parent = field("parent")
        self.parent = f"{prefix}{parent}" if parent else ""
        self.name = read_text(field("name"), field("name_size"))
        self.place = read_text(field("file"))
        if self.place:
            self.place += f":{field('line', 4)}"
        self.backend = read_text(field("backend"))
        self.thread = field("thread", 4)
        self.worker = field("worker", 4, signed=True)
        stopped_at = field("stopped_at")
        self.is_fiber = stopped_at != 0
        self.stack_pointer = read(stopped_at, 8) if stopped_at else 0
        self.waits_for = read_text(field("wait_what"))
        if self.waits_for:
            descriptor = field("wait_descriptor", 4, signed=True)
            awaited = field("wait_task")
            word = field("wait_object")
            if descriptor >= 0:
                self.waits_for += f" of descriptor {descriptor}"
            elif awaited:
                self.waits_for += f" {prefix}{awaited}"
            elif word:
                self.waits_for += f" {word:#x}"

    @property
    def state(self):
        if self.thread == 0:
            return "not started"
        if self.is_fiber and self.stack_pointer == 0:
            return "runs"
        if self.waits_for:
            return f"waits: {self.waits_for}"
        return "ready" if self.is_fiber else "runs"

    @property
    def where(self):
        if self.thread == 0:
            return "-"
        if self.worker < 0:
            return f"LWP {self.thread}"
        return f"worker {self.worker}, LWP {self.thread}"


def tasks():
    """All tasks, by their ids, in their order."""
    if gdb.selected_thread() is None:
        raise Problem("there is no process and no core file")
    try:
        places = layouts()
    except gdb.error as error:
        raise Problem(str(error)) from error
    if not places:
        raise Problem(f"there is no symbol {LAYOUT}: is this program built "
                      "with weft, and is its symbol table there?")
    found = {}
    for copy, place in enumerate(places, 1):
        prefix = "" if copy == 1 else f"{copy}."
        own = sorted(tasks_of(place, prefix))
        found.update((task.id, task) for _, task in own)
    return found


def tasks_of(place, prefix):
    """Pairs of a number to sort by and a task."""
    layout = {name: read(place + 8 * i, 8) for i, name in enumerate(FIELDS)}
    if layout["version"] != VERSION:
        raise Problem(f"the program has version {layout['version']} of the "
                      f"list of tasks, this script knows {VERSION}")
    for shard in range(layout["shard_count"]):
        at = read(layout["shards"] + shard * layout["shard_size"]
                  + layout["shard_first"], 8)
        seen = set()
        while at != 0:
            if at in seen:
                raise Problem("the list of tasks is damaged: it has a circle")
            seen.add(at)
            yield read(at + layout["id"], 8), Task(at, layout, prefix)
            at = read(at + layout["next"], 8)


class StoppedFiber(gdb.unwinder.Unwinder):
    """Makes gdb go on from the innermost frame of a thread into a fiber."""

    def __init__(self):
        super().__init__("weft-fiber")
        self.stack_pointer = None

    def __call__(self, pending):
        if self.stack_pointer is None:
            return None
        stack_pointer, self.stack_pointer = self.stack_pointer, None
        word = pending.architecture().integer_type(64, False)

        def value(number):
            return gdb.Value(number).cast(word)

        # The stack pointer of the fiber: gdb refuses a caller whose frame lies
        # below that of the call.
        unwound = pending.create_unwind_info(
            FrameId(value(stack_pointer), pending.read_register("rip")))
        for register, offset in SAVED.items():
            unwound.add_saved_register(
                register, value(read(stack_pointer + offset, 8)))
        unwound.add_saved_register("rsp", value(stack_pointer + SAVED_SIZE))
        return unwound


class FrameId:
    """What gdb wants to know a frame by."""

    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


def without_frames(text, count):
    """A backtrace without its first frames, and numbered anew."""
    lines = []
    for line in text.splitlines():
        frame = re.match(r"#(\d+)(\s+)", line)
        if frame is None:
            if lines:
                lines.append(line)
        elif int(frame.group(1)) >= count:
            number = f"#{int(frame.group(1)) - count}".ljust(4)
            lines.append(number + line[frame.end():])
    return "\n".join(lines)


def fiber_backtrace(stack_pointer):
    name = gdb.selected_inferior().architecture().name()
    if name != "i386:x86-64":
        raise Problem(f"backtraces of fibers are for x86-64, this is {name}")
    UNWINDER.stack_pointer = stack_pointer
    gdb.invalidate_cached_frames()
    try:
        # The frames of the thread that is selected: those that were inlined
        # into its innermost one come first.
        frame = gdb.newest_frame()
        own = 1
        while frame.type() == gdb.INLINE_FRAME:
            frame = frame.older()
            own += 1
        return without_frames(gdb.execute("backtrace", to_string=True), own)
    finally:
        UNWINDER.stack_pointer = None
        gdb.invalidate_cached_frames()


def thread_backtrace(task):
    for thread in gdb.selected_inferior().threads():
        if thread.ptid[1] == task.thread:
            thread.switch()
            return gdb.execute("backtrace", to_string=True).rstrip("\n")
    raise Problem(f"there is no thread LWP {task.thread}")


def backtrace(task):
    if task.thread == 0:
        return "It has not started."
    before = gdb.selected_thread()
    level = gdb.selected_frame().level()
    try:
        if task.is_fiber and task.stack_pointer != 0:
            return fiber_backtrace(task.stack_pointer)
        return thread_backtrace(task)
    finally:
        before.switch()
        gdb.execute(f"frame {level}", to_string=True)


def heading(task):
    place = f", spawned at {task.place}" if task.place else ""
    parent = f", by task {task.parent}" if task.parent else ""
    return (f"Task {task.id} '{task.name}' ({task.backend}, {task.where})"
            f"{place}{parent}: {task.state}")


def guarded_mappings(process):
    """The beginnings of the mappings that have guard pages inside."""
    with open(f"/proc/{process}/smaps", encoding="utf-8") as smaps:
        for line in smaps:
            begin = re.match(r"([0-9a-f]+)-", line)
            if begin is not None:
                address = int(begin.group(1), 16)
            elif line.startswith("VmFlags:") and " gu" in line:
                yield address


def load_segments(core):
    """Address, size and offset of each segment of memory in a core file."""
    header = ELF_HEADER.unpack(core.read(ELF_HEADER.size))
    for number in range(header[10]):
        core.seek(header[5] + number * header[9])
        kind, _, offset, address, _, size, _, _ = PROGRAM_HEADER.unpack(
            core.read(PROGRAM_HEADER.size))
        if kind == PT_LOAD:
            yield address, size, offset


def touched(process, address, size):
    """Address and size of each stretch of pages that hold anything. The others
    are zero, as what is not written in a core file is."""
    begin = None
    with open(f"/proc/{process}/pagemap", "rb") as pagemap:
        pagemap.seek(address // PAGE * 8)
        entries = pagemap.read(size // PAGE * 8)
    for page, (entry,) in enumerate(struct.iter_unpack("<Q", entries)):
        if entry & TOUCHED == 0:
            if begin is not None:
                yield address + begin * PAGE, (page - begin) * PAGE
            begin = None
        elif begin is None:
            begin = page
    if begin is not None:
        yield address + begin * PAGE, size - begin * PAGE


def copy_readable(core, address, size, offset):
    """Copies memory into the core file, but for pages that cannot be read."""
    try:
        memory = gdb.selected_inferior().read_memory(address, size)
    except gdb.MemoryError:
        if size > PAGE:
            half = max(size // PAGE // 2, 1) * PAGE
            copy_readable(core, address, half, offset)
            copy_readable(core, address + half, size - half, offset + half)
        return
    core.seek(offset)
    core.write(memory)


class Weft(gdb.Command):
    """Looks into a program that uses weft: weft tasks, weft bt, weft core."""

    def __init__(self):
        super().__init__("weft", gdb.COMMAND_STACK, gdb.COMPLETE_NONE, True)


class Command(gdb.Command):
    def invoke(self, argument, from_tty):
        try:
            self.run(argument.strip())
        except Problem as problem:
            raise gdb.GdbError(f"weft: {problem}") from problem
        except gdb.MemoryError as error:
            raise gdb.GdbError(
                f"weft: {error}: the program was stopped while the list of "
                "tasks was changed, or the core file is not whole") from error
        except (gdb.error, OSError) as error:
            raise gdb.GdbError(f"weft: {error}") from error

    def run(self, argument):
        raise NotImplementedError


class WeftTasks(Command):
    """Lists the tasks: weft tasks

A line for each: id, name, backend, where it runs, what it does or waits for,
and where it was spawned."""

    def __init__(self):
        super().__init__("weft tasks", gdb.COMMAND_STACK, gdb.COMPLETE_NONE)

    def run(self, argument):
        rows = [("Id", "Name", "Backend", "Where", "State", "Spawned at")]
        for task in tasks().values():
            name = task.name
            if len(name) > MOST_OF_NAME:
                name = name[:MOST_OF_NAME - 3] + "..."
            rows.append((task.id, name, task.backend, task.where, task.state,
                         task.place or "-"))
        widths = [max(map(len, column)) for column in zip(*rows)]
        for row in rows:
            print("  ".join(text.ljust(width)
                            for text, width in zip(row, widths)).rstrip())


class WeftBt(Command):
    """Prints backtraces: weft bt ID, weft bt all

ID is a number that weft tasks shows."""

    def __init__(self):
        super().__init__("weft bt", gdb.COMMAND_STACK, gdb.COMPLETE_NONE)

    def run(self, argument):
        known = tasks()
        if argument == "all":
            chosen = list(known.values())
        elif re.fullmatch(r"(\d+\.)?\d+", argument):
            if argument not in known:
                raise Problem(f"there is no task {argument}; see weft tasks")
            chosen = [known[argument]]
        else:
            raise Problem("give the id of a task, or all: weft bt 17")
        for task in chosen:
            print(heading(task))
            try:
                print(backtrace(task))
            except (Problem, gdb.error) as problem:
                print(f"No backtrace: {problem}")
            if argument == "all":
                print()


class WeftCore(Command):
    """Writes a core file with the stacks of fibers: weft core FILE

As generate-core-file, which leaves out what follows a guard page in its
mapping; where the kernel has MADV_GUARD_INSTALL that is most of the fibers.
Core files that the kernel writes have all of it."""

    def __init__(self):
        super().__init__("weft core", gdb.COMMAND_DATA, gdb.COMPLETE_FILENAME)

    def run(self, argument):
        if not argument:
            raise Problem("give the name of the file: weft core FILE")
        # Fails where there is no live process.
        gdb.execute(f"generate-core-file {argument}")
        process = gdb.selected_inferior().pid
        guarded = set(guarded_mappings(process))
        with open(os.path.expanduser(argument), "r+b") as core:
            for address, size, offset in list(load_segments(core)):
                if address not in guarded:
                    continue
                for begin, length in touched(process, address, size):
                    copy_readable(core, begin, length, offset + begin - address)


UNWINDER = StoppedFiber()
gdb.unwinder.register_unwinder(None, UNWINDER, replace=True)
Weft()
WeftTasks()
WeftBt()
WeftCore()
