#!/usr/bin/env python3
"""Holds the arrows of the tree: which folder may include which.

A file belongs to a room; the table MAY_INCLUDE says which rooms it may include:

  runtime              runtime
  sync                 runtime, sync
  net                  runtime, sync, net
  backends/<x>         runtime, backends/<x> (no backend includes another)
  backends/run.{h,cc}  runtime, every backend
  tests                everything
  bench, examples      every room of the library, and themselves

Own headers are always spelled "weft/<folder>/<file>.h".

A header in an internal/ folder, or in runtime/fiber, is private to its room.
Those of runtime serve the whole library, for runtime is what every room stands
on. Tests and benchmarks may look inside; examples, like any user, may not.
Private headers are installed only where an installed header includes them.

usage: arrows_test.py --root DIR --listed FILE... --installed FILE...
       arrows_test.py --self-test

--listed are the sources that the build compiles, --installed the headers that
it installs.
"""

import argparse
import os
import re
import sys

LIBRARY = ("runtime", "sync", "net", "backends")
OUTSIDE = ("tests", "bench", "examples")
LIBRARY_ROOMS = {"runtime", "sync", "net", "backends/*", "backends/run"}
MAY_INCLUDE = {
    "runtime": {"runtime"},
    "sync": {"runtime", "sync"},
    "net": {"runtime", "sync", "net"},
    "backends/run": {"runtime", "backends/*", "backends/run"},
    "tests": LIBRARY_ROOMS | set(OUTSIDE),
    "bench": LIBRARY_ROOMS | {"bench"},
    "examples": LIBRARY_ROOMS | {"examples"},
}
THIRD_PARTY = re.compile(r"(absl|boost|benchmark|gmock|gtest|liburing)[/.]")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def room_of(path):
    """The room of a path relative to the root; None if there is no such room."""
    parts = path.split("/")
    if parts[0] == "backends":
        if len(parts) > 2:
            return "/".join(parts[:2])
        return "backends/run" if parts[1] in ("run.h", "run.cc") else None
    return parts[0] if parts[0] in MAY_INCLUDE else None


def may_include(room, target_room):
    if room == target_room:
        return True
    allowed = MAY_INCLUDE.get(room, {"runtime"})
    if target_room in allowed:
        return True
    is_backend = target_room.startswith("backends/") and target_room != "backends/run"
    return is_backend and "backends/*" in allowed


def is_private(path):
    return "internal" in path.split("/")[:-1] \
        or path.startswith("runtime/fiber/")


def may_look_inside(room, target_room):
    if room == target_room or room in ("tests", "bench"):
        return True
    return target_room == "runtime" and room != "examples"


def problem_with(path, line):
    """What is wrong with one line of the file at `path`; None if nothing."""
    match = INCLUDE.match(line)
    if not match:
        return None
    bracket, target = match.groups()
    if not target.startswith("weft/"):
        if bracket == '"' and not THIRD_PARTY.match(target):
            return f'"{target}": own headers are spelled "weft/<folder>/<file>.h"'
        return None
    if bracket == "<":
        return f'<{target}>: own headers are included with quotes'
    room = room_of(path)
    if room is None:
        return "this file is in no room that arrows_test.py knows"
    inner = target[len("weft/"):]
    target_room = room_of(inner)
    if target_room is None:
        return f'"{target}" is in no room that arrows_test.py knows'
    if not may_include(room, target_room):
        return f"{room} may not include {target_room} ({target})"
    if is_private(inner) and not may_look_inside(room, target_room):
        return f"{target} is private to {target_room}"
    return None


def files_of(root, folders, suffixes):
    for folder in folders:
        for where, names, files in os.walk(os.path.join(root, folder)):
            names.sort()
            for name in sorted(files):
                if name.endswith(suffixes):
                    yield os.path.relpath(os.path.join(where, name), root)


def own_includes(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            match = INCLUDE.match(line)
            if match and match.group(2).startswith("weft/"):
                yield number, match.group(2)[len("weft/"):]


def check_lines(root):
    for path in files_of(root, LIBRARY + OUTSIDE, (".h", ".cc")):
        with open(os.path.join(root, path), encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                problem = problem_with(path, line)
                if problem:
                    yield f"{path}:{number}: {problem}"
        for number, inner in own_includes(root, path):
            if not os.path.exists(os.path.join(root, inner)):
                yield f"{path}:{number}: there is no file {inner}"


def check_lists(root, listed, installed):
    """Compares the tree with the lists in the meson.build files."""
    for path in files_of(root, LIBRARY, (".cc",)):
        if path not in listed:
            yield f"{path}: in no list of sources"
    for path in files_of(root, LIBRARY, (".h",)):
        if not is_private(path) and path not in installed:
            yield f"{path}: a public header that is not installed"
    reached = set()
    for path in sorted(installed):
        for number, inner in own_includes(root, path):
            reached.add(inner)
            if inner not in installed:
                yield f"{path}:{number}: installed, but {inner} is not"
    for path in sorted(installed):
        if is_private(path) and path not in reached:
            yield f"{path}: installed, but no installed header includes it"


SELF_TEST = [
    # path, line, accepted
    ("runtime/io.h", '#include "weft/runtime/clock.h"', True),
    ("runtime/io.h", '#include "weft/sync/mutex.h"', False),
    ("runtime/io.cc", '#include "weft/net/tcp.h"', False),
    ("runtime/io.cc", '#include "weft/backends/sim/sim.h"', False),
    ("runtime/io.cc", '#include "weft/backends/run.h"', False),
    ("sync/mutex.h", '#include "weft/runtime/io.h"', True),
    ("sync/mutex.h", '#include "weft/sync/event.h"', True),
    ("sync/mutex.h", '#include "weft/net/tcp.h"', False),
    ("sync/bridge.h", '#include "weft/backends/threaded/threaded.h"', False),
    ("net/tcp.h", '#include "weft/sync/mutex.h"', True),
    ("net/tcp.h", '#include "weft/runtime/io.h"', True),
    ("net/tcp.cc", '#include "weft/backends/evented/evented.h"', False),
    ("backends/sim/sim.h", '#include "weft/runtime/io.h"', True),
    ("backends/sim/sim.h", '#include "weft/runtime/fiber/fiber.h"', True),
    ("backends/sim/sim.h", '#include "weft/backends/sim/network.h"', True),
    ("backends/sim/sim.h", '#include "weft/backends/evented/worker.h"', False),
    ("backends/sim/sim.cc", '#include "weft/sync/mutex.h"', False),
    ("backends/sim/sim.cc", '#include "weft/net/tcp.h"', False),
    ("backends/sim/sim.cc", '#include "weft/backends/run.h"', False),
    ("backends/run.h", '#include "weft/backends/evented/evented.h"', True),
    ("backends/run.cc", '#include "weft/backends/threaded/threaded.h"', True),
    ("backends/run.cc", '#include "weft/backends/run.h"', True),
    ("backends/run.h", '#include "weft/net/tcp.h"', False),
    ("backends/walk.h", '#include "weft/runtime/io.h"', False),
    ("runtime/io.h", '#include "weft/tests/fixture.h"', False),
    ("runtime/io.h", '#include "weft/elsewhere/io.h"', False),
    ("tests/net/tcp_test.cc", '#include "weft/backends/sim/sim.h"', True),
    ("tests/net/tcp_test.cc", '#include "weft/backends/run.h"', True),
    ("tests/net/tcp_test.cc", '#include "weft/tests/fixture.h"', True),
    ("examples/echo.cc", '#include "weft/backends/run.h"', True),
    ("bench/echo.cc", '#include "weft/backends/evented/evented.h"', True),
    # Spelling.
    ("sync/mutex.h", '#include "sync/event.h"', False),
    ("sync/mutex.h", '#include "event.h"', False),
    ("tests/sync/mutex_test.cc", '#include "fixture.h"', False),
    ("sync/mutex.h", "#include <weft/sync/event.h>", False),
    ("sync/mutex.h", "  #  include \"event.h\"", False),
    ("sync/mutex.h", '#include "absl/status/status.h"', True),
    ("sync/mutex.h", '#include "gtest/gtest.h"', True),
    ("sync/mutex.h", "#include <liburing.h>", True),
    ("sync/mutex.h", "#include <atomic>", True),
    ("sync/mutex.h", '// #include "event.h" would be wrong', True),
    # Private headers.
    ("runtime/io.h", '#include "weft/runtime/internal/check.h"', True),
    ("sync/mutex.h", '#include "weft/runtime/internal/check.h"', True),
    ("backends/sim/sim.h", '#include "weft/runtime/fiber/internal/f.h"', True),
    ("sync/mutex.h", '#include "weft/sync/internal/waiters.h"', True),
    ("net/tcp.h", '#include "weft/sync/internal/waiters.h"', False),
    ("backends/run.h", '#include "weft/backends/sim/internal/s.h"', False),
    ("tests/sync/mutex_test.cc", '#include "weft/sync/internal/w.h"', True),
    ("bench/mutex.cc", '#include "weft/sync/internal/w.h"', True),
    ("examples/echo.cc", '#include "weft/runtime/internal/check.h"', False),
    ("examples/echo.cc", '#include "weft/runtime/fiber/context.h"', False),
    ("bench/switch.cc", '#include "weft/runtime/fiber/context.h"', True),
]


def self_test():
    wrong = 0
    for path, line, accepted in SELF_TEST:
        problem = problem_with(path, line)
        if (problem is None) != accepted:
            wrong += 1
            print(f"{path}: {line}: wanted {'yes' if accepted else 'no'}, "
                  f"got: {problem or 'yes'}")
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--root")
    parser.add_argument("--listed", nargs="*", default=[])
    parser.add_argument("--installed", nargs="*", default=[])
    options = parser.parse_args()
    if options.self_test:
        return 1 if self_test() else 0

    root = os.path.realpath(options.root)

    def relative(paths):
        return {os.path.relpath(os.path.realpath(path), root) for path in paths}

    problems = list(check_lines(root))
    problems += check_lists(root, relative(options.listed),
                            relative(options.installed))
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
