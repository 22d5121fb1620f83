"""Programs that are measured: started, bounded in time, always reaped."""

import contextlib
import json
import os
import selectors
import shutil
import subprocess
import tempfile
import time

EXIT_UNAVAILABLE = 77  # of a program whose means the machine refuses


class BenchError(Exception):
    """Something did not run; the message says what."""


class Unavailable(Exception):
    """This machine cannot run the contestant; the message says why."""


def reap(process):
    """Stops one child and collects its status, in bounded time."""
    if process.stdin:
        process.stdin.close()
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout:
        process.stdout.close()


@contextlib.contextmanager
def child(argv, cpu=None):
    """Runs a program; it is stopped and reaped however the block ends."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        )
        try:
            if cpu is not None:
                os.sched_setaffinity(process.pid, {cpu})
            process.error_file = errors
            yield process
        finally:
            reap(process)


def error_text(process):
    process.error_file.seek(0)
    text = process.error_file.read().decode(errors="replace").strip()
    return text or f"exit status {process.poll()}"


def read_line(process, timeout):
    """One line from the child's standard output; "" at its end."""
    deadline = time.monotonic() + timeout
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not selector.select(left):
                raise BenchError(f"{process.args[0]}: silent for {timeout:g} s")
            byte = os.read(process.stdout.fileno(), 1)
            if not byte:
                return ""
            line += byte
    return line.decode()


def output(argv, timeout, cpu=None):
    """Runs a program to its end and returns what it printed."""
    with child(argv, cpu) as process:
        try:
            text, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise BenchError(f"{argv[0]}: still running after {timeout:g} s")
        if process.returncode == EXIT_UNAVAILABLE:
            raise Unavailable(error_text(process))
        if process.returncode != 0:
            raise BenchError(f"{argv[0]}: {error_text(process)}")
        return text.decode()


def parse(program, text):
    try:
        return json.loads(text)
    except ValueError:
        raise BenchError(f"{program}: expected JSON, got {text!r}")


def calls_per_item(argv, count):
    """System calls that a program makes for each item of work.

    `argv` takes the number of items as its last argument. What it does once
    falls out of the difference of two runs. None where there is no strace.
    """
    if shutil.which("strace") is None:
        return None

    def total(items):
        with tempfile.NamedTemporaryFile("r") as table:
            trace = ["strace", "-f", "-qq", "-c", "-U", "calls"]
            output(trace + ["-o", table.name] + argv + [str(items)], 300)
            return int(table.read().split()[-2])  # "... 123 total"

    return round((total(3 * count) - total(count)) / (2 * count), 2)
