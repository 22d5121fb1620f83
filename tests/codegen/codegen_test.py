#!/usr/bin/env python3
"""Checks that weft's mutex costs what a mutex written by hand costs.

Compiles uncontended_mutex.cc with -O2, once with weft's mutex and once with
the one that the file itself writes with plain std::atomic, and compares the
function LockAndUnlock: both must have the same instructions, though perhaps in
another order and with other registers, and call nothing but the contended paths
and what reports misuse or finds the current task. A third version with one
access too many must be told apart, or the comparison would prove nothing.

usage: codegen_test.py --compiler CXX --pkg-config-path DIR --backend NAME CASE
"""

import argparse
import collections
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
sys.dont_write_bytecode = True
import toolbox  # pylint: disable=wrong-import-position

FUNCTION = "LockAndUnlock"
MAY_CALL = {"LockContended", "UnlockContended", "MisusedInUnlock",
            "CurrentTask"}
MANGLED = re.compile(r"\b_Z\w+")
KNOWN_NAME = re.compile("|".join(sorted(MAY_CALL, key=len, reverse=True)))
TRANSFER = re.compile(r"(call|jmp|bl?)q?$")


def instructions(compile_command):
    """The (mnemonic, operands) of the function, its cold part included."""
    status, output = toolbox.execute(compile_command)
    if status != 0:
        raise SystemExit(f"does not compile:\n{output}")
    found = []
    inside = False
    for line in output.splitlines():
        label = re.match(r"([\w.$]+):", line)
        if label and not label.group(1).startswith("."):
            inside = re.match(FUNCTION + r"(\.|$)", label.group(1)) is not None
        elif inside and re.match(r"\s+[a-z]", line):
            parts = line.split("#")[0].split(None, 1)
            found.append((parts[0], parts[1] if len(parts) > 1 else ""))
    if not found:
        raise SystemExit(f"there is no {FUNCTION} in what the compiler wrote")
    return found


def mnemonics(found):
    """How often which; prefixes of x86 belong to what follows them."""
    return collections.Counter(
        f"{name} {operands.split()[0]}" if name == "lock" else name
        for name, operands in found)


def unexpected_calls(found):
    for name, operands in found:
        if not TRANSFER.match(name):
            continue
        for symbol in MANGLED.findall(operands):
            if not KNOWN_NAME.search(symbol):
                yield symbol


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--pkg-config-path", required=True)
    parser.add_argument("--backend", required=True)
    parser.add_argument("case")
    options = parser.parse_args()

    command = [options.compiler, "-std=c++20", "-O2", "-S", "-o", "-", "-w",
               "-fno-asynchronous-unwind-tables", f"-DBACKEND={options.backend}",
               *toolbox.pkg_config(options.pkg_config_path, "--cflags", "weft"),
               options.case]
    of_weft = instructions(command)
    by_hand = instructions([*command, "-DBY_HAND"])
    one_more = instructions([*command, "-DBY_HAND", "-DONE_MORE"])

    problems = [f"calls {symbol}" for symbol in unexpected_calls(of_weft)]
    if mnemonics(of_weft) != mnemonics(by_hand):
        problems.append(
            f"more than by hand: {mnemonics(of_weft) - mnemonics(by_hand)}, "
            f"less: {mnemonics(by_hand) - mnemonics(of_weft)}")
    if mnemonics(one_more) == mnemonics(by_hand):
        problems.append("an access too many is not noticed")
    for problem in problems:
        print(f"{FUNCTION} on {options.backend}: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
