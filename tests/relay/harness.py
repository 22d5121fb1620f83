"""What the tests of the relay have in common: its processes and its frames.

The first two arguments of a test program are RELAY and SOURCE, the programs of
examples/relay; the rest goes to unittest.
"""

import functools
import json
import os
import shlex
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
import zlib

RELAY, SOURCE = sys.argv[1:3]
# What the programs run on, such as Valgrind.
WRAPPER = shlex.split(os.environ.get("WEFT_TEST_WRAPPER", ""))
BACKENDS = ("threaded", "evented")
PATIENCE = 60  # seconds in which everything ends
UPSTREAMS = 50
FAULTY = 6
HEALTHY = 4
FRAME_HEADER = struct.Struct("<II")
BODY_HEADER = struct.Struct("<BIQQq")
HELLO, EVENT, END, WELCOME, HEARTBEAT, ACK = range(1, 7)


def read_log(path):
    """The (upstream, order, sequence) of every event; fails if one is wrong.

    A descriptor in place of the path is closed.
    """
    with open(path, "rb") as file:
        log = file.read()
    events = []
    offset = 0
    while offset < len(log):
        size, checksum = FRAME_HEADER.unpack_from(log, offset)
        offset += FRAME_HEADER.size
        body = log[offset:offset + size]
        if zlib.crc32(body) != checksum:
            raise AssertionError(f"a damaged frame at {offset} in the log")
        offset += size
        kind, upstream, order, sequence, _ = BODY_HEADER.unpack_from(body)
        if kind != EVENT:
            raise AssertionError(f"a message of kind {kind} in the log")
        events.append((upstream, order, sequence))
    return events


def on_each_backend(test):
    """Makes a test of `test(self, backend)`, which runs it on each."""
    @functools.wraps(test)
    def run(self):
        for backend in BACKENDS:
            with self.subTest(backend=backend):
                if os.path.exists(self.log):
                    os.remove(self.log)
                test(self, backend)
    return run


class RelayTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="weft-relay-")
        self.addCleanup(folder.cleanup)
        self.log = os.path.join(folder.name, "relay.log")

    def start(self, *command, **options):
        process = subprocess.Popen(
            [*WRAPPER, *command], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            **options)
        self.addCleanup(self.stop, process)
        return process

    @staticmethod
    def stop(process):
        if process.poll() is None:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()

    def start_relay(self, backend, address, upstreams, *options):
        """A relay that listens, and where: subscribers and health."""
        relay = self.start(
            RELAY, f"--backend={backend}", f"--source={address}",
            f"--upstreams={upstreams}", f"--log={self.log}", *options)
        words = relay.stdout.readline().split()
        self.assertEqual(words[::2], ["subscribers", "health"])
        return relay, words[1::2]

    def start_both(self, backend, seconds, *source_options):
        source = self.start(
            SOURCE, f"--upstreams={UPSTREAMS}", f"--faulty={FAULTY}",
            f"--healthy={HEALTHY}", f"--seconds={seconds}", "--rate=3000",
            *source_options, env=without_weft())
        address = source.stdout.readline().split()[1]
        relay, (subscribers, health) = self.start_relay(
            backend, address, UPSTREAMS + FAULTY, "--subscriber_queue=2048",
            "--subscriber_buffer=16384", "--retry_first=20ms",
            "--retry_most=200ms")
        source.stdin.write(f"subscribers {subscribers} health {health}\n")
        source.stdin.flush()
        return relay, source, health

    def end(self, process):
        """Waits for a process; returns exit code, standard output and error."""
        out, err = process.communicate(timeout=PATIENCE)
        return process.returncode, out, err

    def await_health(self, health, condition):
        """The first health report for which the condition holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition(report := get(health, "/health")[1]):
            self.assertLess(time.monotonic(), deadline, report)
            time.sleep(0.02)
        return report

    def check_log(self, count):
        events = read_log(self.log)
        self.assertEqual([order for _, order, _ in events],
                         list(range(1, count + 1)))
        last = {}
        for upstream, _, sequence in events:
            self.assertEqual(sequence, last.get(upstream, 0) + 1)
            last[upstream] = sequence


def without_weft():
    return {key: value for key, value in os.environ.items()
            if not key.startswith("WEFT_")}


def get(address, path):
    """Status and body of an HTTP answer."""
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as r:
            return r.status, json.load(r)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def main():
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
