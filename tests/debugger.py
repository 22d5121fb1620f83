"""gdb with weft's commands, for the tests that drive it."""

import os
import subprocess

SCRIPT = os.path.join(os.path.dirname(__file__), "../tools/gdb/weft.py")
# The exit status of a test that cannot run here.
SKIPPED = 77


def gdb(*arguments, commands, timeout):
    """Runs the commands after its own arguments; returns (output, errors)."""
    command = ["gdb", "-q", "-nx", "-batch", "-iex", "set debuginfod enabled 0"]
    for one in ("set width 0", "set print frame-arguments none",
                f"source {SCRIPT}", *commands):
        command += ["-ex", one]
    done = subprocess.run([*command, *arguments], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False,
                          timeout=timeout)
    return done.stdout, done.stderr
