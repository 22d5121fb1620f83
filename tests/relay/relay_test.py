#!/usr/bin/env python3
"""Runs the relay as a process, on real sockets, and looks at all it does.

usage: relay_test.py RELAY SOURCE [-v] [Class[.test]]...

RELAY and SOURCE are the programs of examples/relay.
"""

import json
import os
import resource
import signal
import socket
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
BACKENDS = ("threaded", "evented")
PATIENCE = 60  # seconds in which everything ends
UPSTREAMS = 50
FAULTY = 6
HEALTHY = 4
FRAME_HEADER = struct.Struct("<II")
BODY_HEADER = struct.Struct("<BIQQq")


def read_log(path):
    """The (upstream, order, sequence) of every event; fails if one is wrong."""
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
        if kind != 2:
            raise AssertionError(f"a message of kind {kind} in the log")
        events.append((upstream, order, sequence))
    return events


class RelayTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="weft-relay-")
        self.addCleanup(folder.cleanup)
        self.log = os.path.join(folder.name, "relay.log")

    def start(self, *command, **options):
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, **options)
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

    def start_both(self, backend, seconds):
        source = self.start(
            SOURCE, f"--upstreams={UPSTREAMS}", f"--faulty={FAULTY}",
            f"--healthy={HEALTHY}", f"--seconds={seconds}", "--rate=3000",
            env=without_weft())
        address = source.stdout.readline().split()[1]
        relay, (subscribers, health) = self.start_relay(
            backend, address, UPSTREAMS + FAULTY, "--subscriber_queue=2048",
            "--subscriber_buffer=16384")
        source.stdin.write(f"subscribers {subscribers} health {health}\n")
        source.stdin.flush()
        return relay, source, health

    def end(self, process):
        """Waits for a process; returns exit code, standard output and error."""
        out, err = process.communicate(timeout=PATIENCE)
        return process.returncode, out, err

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


class WholeRun(RelayTest):
    def run_to_the_end(self, backend):
        relay, source, _ = self.start_both(backend, seconds=3)
        code, out, err = self.end(source)
        self.assertEqual(code, 0, err)
        seen = json.loads(out)
        code, out, err = self.end(relay)
        self.assertEqual(code, 0, err)
        figures = json.loads(out)

        self.assertGreater(seen["sent"], 6000)
        self.assertEqual(seen["delivered_ratio"], 1.0)
        self.assertEqual(seen["delivered"], seen["sent"] * HEALTHY)
        self.assertEqual(seen["order_errors"], 0)
        self.assertEqual(seen["checksum_errors"], 0)
        self.assertEqual(seen["health_failures"], 0)
        self.assertIs(seen["slow_cut_seen"], True)

        self.assertEqual(figures["backend"], backend)
        self.assertEqual(figures["connected"], UPSTREAMS + FAULTY)
        self.assertEqual(figures["received"], seen["sent"])
        self.assertEqual(figures["logged"], seen["sent"])
        self.assertEqual(figures["delivered"], [seen["sent"]] * HEALTHY)
        self.assertEqual(figures["slow_subscribers_cut"], 1)
        self.assertEqual(figures["subscribers_left"], 0)
        self.assertEqual(figures["connection_faults"], {
            "refused": 0, "reset": 1, "ended_early": 1, "stalled": 1,
            "garbage": 1, "checksum": 1, "sequence": 1, "resources": 0,
            "other": 0})
        self.assertEqual(err.count("relay: upstream "), FAULTY, err)
        self.check_log(seen["sent"])
        return figures

    def test_threaded_has_a_thread_for_every_upstream(self):
        figures = self.run_to_the_end("threaded")
        self.assertGreaterEqual(figures["threads"], UPSTREAMS)

    def test_evented_has_a_few_threads(self):
        figures = self.run_to_the_end("evented")
        self.assertIn(figures["driver"], ("uring", "epoll"))
        # A sanitizer may have a thread of its own.
        self.assertLessEqual(figures["threads"],
                             len(os.sched_getaffinity(0)) + 5)


class Stop(RelayTest):
    def stop_with(self, number):
        for backend in BACKENDS:
            with self.subTest(backend=backend):
                if os.path.exists(self.log):
                    os.remove(self.log)
                self.stop_one(backend, number)

    def stop_one(self, backend, number):
        relay, source, health = self.start_both(backend, seconds=50)
        deadline = time.monotonic() + PATIENCE
        while get(health, "/health")[1]["logged"] < 300:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        relay.send_signal(number)
        asked = time.monotonic()
        code, out, err = self.end(relay)
        self.assertEqual(code, 0, err)
        self.assertLess(time.monotonic() - asked, 20)
        self.assertIn(f"relay: stops at signal {number.value}\n", err)

        # All that is in the log was delivered.
        figures = json.loads(out)
        self.assertGreaterEqual(figures["logged"], 300)
        self.check_log(figures["logged"])
        self.assertEqual(figures["delivered"][:HEALTHY],
                         [figures["logged"]] * HEALTHY)
        self.assertEqual(figures["subscribers_left"], 0)

        code, out, err = self.end(source)
        self.assertEqual(code, 1, "the source had more to send")
        seen = json.loads(out)
        self.assertEqual(seen["delivered"], figures["logged"] * HEALTHY)
        self.assertEqual(seen["order_errors"], 0)

    def test_sigterm_delivers_what_is_logged(self):
        self.stop_with(signal.SIGTERM)

    def test_sigint_delivers_what_is_logged(self):
        self.stop_with(signal.SIGINT)


class Trouble(RelayTest):
    """What can go wrong once the relay runs."""

    def listen(self):
        listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.addCleanup(listener.close)
        return listener, "{}:{}".format(*listener.getsockname())

    def test_refused_upstreams_are_counted(self):
        listener, address = self.listen()
        listener.close()
        for backend in BACKENDS:
            with self.subTest(backend=backend):
                relay, _ = self.start_relay(backend, address, 30)
                code, out, err = self.end(relay)
                self.assertEqual(code, 0, err)
                figures = json.loads(out)
                self.assertEqual(figures["connection_faults"]["refused"], 30)
                self.assertIn("connection refused", err)

    def test_refused_tasks_are_counted_and_the_others_go_on(self):
        _, address = self.listen()
        for backend in BACKENDS:
            with self.subTest(backend=backend):
                relay, _ = self.start_relay(backend, address, 60,
                                            "--max_tasks=30")
                # It is said of the first twenty.
                reports = list(iter(relay.stderr.readline,
                                    "relay: more faults are counted only\n"))
                relay.send_signal(signal.SIGTERM)
                code, out, err = self.end(relay)
                self.assertEqual(code, 0, err)
                self.assertEqual(len(reports), 20)
                self.assertIn("no task for it", reports[0])
                figures = json.loads(out)
                self.assertGreaterEqual(
                    figures["connection_faults"]["resources"], 20)

    def test_a_log_that_fails_stops_the_relay(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("there is no /dev/full")
        for backend in BACKENDS:
            with self.subTest(backend=backend):
                self.log = "/dev/full"
                relay, source, _ = self.start_both(backend, seconds=3)
                code, out, err = self.end(relay)
                self.assertEqual(code, 1, err)
                self.assertIn("write log /dev/full: ", err)
                self.assertEqual(json.loads(out)["logged"], 0)
                code, _, err = self.end(source)
                self.assertEqual(code, 1, err)

    def test_unknown_pages_are_refused(self):
        _, address = self.listen()
        _, (_, health) = self.start_relay("evented", address, 1)
        self.assertEqual(get(health, "/health")[0], 200)
        self.assertEqual(get(health, "/other")[0], 404)


class Exits(RelayTest):
    """What keeps the programs from starting: one line, exit code 2."""

    def check_exit(self, program, options, *words, **more):
        process = self.start(program, *options, **more)
        code, out, err = self.end(process)
        name = os.path.basename(program)
        self.assertEqual(code, 2, err)
        self.assertEqual(out, "")
        self.assertEqual(err.count("\n"), 1, err)
        self.assertTrue(err.startswith(name + ": "), err)
        for word in words:
            self.assertIn(word, err)

    def relay_options(self, *more):
        return ["--source=127.0.0.1:9", "--upstreams=1", f"--log={self.log}",
                *more]

    def test_unknown_option(self):
        self.check_exit(RELAY, self.relay_options("--speed=9"), "--speed")
        self.check_exit(RELAY, self.relay_options("word"), "word")
        self.check_exit(SOURCE, ["--speed=9"], "--speed")

    def test_impossible_value(self):
        for option in ("upstreams", "connecting", "event_queue"):
            self.check_exit(RELAY, self.relay_options(f"--{option}=none"),
                            f"--{option}", "'none'")
        self.check_exit(RELAY, self.relay_options("--source=here"),
                        "--source", "here")
        self.check_exit(RELAY, self.relay_options("--upstreams"), "--upstreams")
        self.check_exit(SOURCE, ["--rate=0"], "--rate", "'0'")

    def test_missing_source(self):
        self.check_exit(RELAY, [f"--log={self.log}"], "--source")

    def test_impossible_option_of_weft(self):
        self.check_exit(RELAY, self.relay_options("--backend=green"),
                        "backend", "'green'")
        self.check_exit(RELAY, self.relay_options("--workers=0"), "workers")
        self.check_exit(
            RELAY, self.relay_options("--backend=threaded", "--workers=2"),
            "workers", "threaded")
        for program, options in ((RELAY, self.relay_options()), (SOURCE, [])):
            self.check_exit(program, options, "WEFT_WORKERS", "'many'",
                            env={**os.environ, "WEFT_WORKERS": "many"})

    def test_busy_port(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = "{}:{}".format(*taken.getsockname())
            for backend in BACKENDS:
                for door in ("subscribers", "health"):
                    self.check_exit(
                        RELAY, self.relay_options(f"--backend={backend}",
                                                  f"--{door}={address}"),
                        address, "address already in use")

    def test_unwritable_log(self):
        for backend in BACKENDS:
            self.check_exit(
                RELAY, self.relay_options(f"--backend={backend}",
                                          "--log=/nowhere/relay.log"),
                "/nowhere/relay.log", "no such file or directory")

    def test_too_few_descriptors(self):
        self.check_exit(
            RELAY, self.relay_options("--upstreams=2800"), "descriptors",
            "100", preexec_fn=lambda: resource.setrlimit(
                resource.RLIMIT_NOFILE, (100, 100)))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
