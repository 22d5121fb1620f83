#!/usr/bin/env python3
"""Runs the relay as a process, on real sockets, and looks at all it does.

usage: relay_test.py RELAY SOURCE [-v] [Class[.test]]...

RELAY and SOURCE are the programs of examples/relay.
"""

import functools
import json
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
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
HELLO, EVENT, END, WELCOME, HEARTBEAT, ACK = range(1, 7)


def frame_of(kind, upstream, sequence):
    body = BODY_HEADER.pack(kind, upstream, 0, sequence, 0)
    return FRAME_HEADER.pack(len(body), zlib.crc32(body)) + body


def events_of(upstream, sequences):
    return b"".join(frame_of(EVENT, upstream, n) for n in sequences)


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


def hold_port():
    """A socket with a port, which refuses connects until it listens."""
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    return holder


def connect(address, receive_buffer=None):
    host, port = address.rsplit(":", 1)
    stream = socket.socket()
    if receive_buffer:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    stream.settimeout(PATIENCE)
    stream.connect((host, int(port)))
    return stream


def fill(listener):
    """Connects until the next connect hangs; the sockets that did."""
    blockers = []
    while True:
        blocker = socket.socket()
        blocker.settimeout(1)
        blockers.append(blocker)
        try:
            blocker.connect(listener.getsockname())
        except socket.timeout:
            return blockers


def get(address, path):
    """Status and body of an HTTP answer."""
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as r:
            return r.status, json.load(r)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


class Play(RelayTest):
    """The source plays; each test looks at what became of it."""

    def run_to_the_end(self, backend, *source_options):
        relay, source, _ = self.start_both(backend, 3, *source_options)
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
        self.assertGreater(seen["acknowledged"], 0)
        self.assertEqual(seen["acknowledged_lost"], 0)

        self.assertEqual(figures["backend"], backend)
        self.assertEqual(figures["connected"], UPSTREAMS + FAULTY)
        self.assertEqual(figures["received"], seen["sent"])
        self.assertEqual(figures["logged"], seen["sent"])
        self.assertEqual(figures["delivered"], [seen["sent"]] * HEALTHY)
        self.assertEqual(figures["slow_subscribers_cut"], 1)
        self.assertEqual(figures["subscribers_left"], 0)
        self.check_log(seen["sent"])
        return figures, err


class WholeRun(Play):
    def run_with_each_fault(self, backend):
        figures, err = self.run_to_the_end(backend)
        self.assertEqual(figures["connection_faults"], {
            "refused": 0, "connect_timeout": 0, "reset": 1, "ended_early": 1,
            "read_timeout": 1, "garbage": 1, "checksum": 1, "sequence": 1,
            "resources": 0, "other": 0})
        self.assertEqual(figures["reconnects"], FAULTY)
        self.assertEqual(figures["connect_attempts"], UPSTREAMS + 2 * FAULTY)
        self.assertEqual(figures["read_timeouts"], 1)
        self.assertEqual(figures["connect_timeouts"], 0)
        self.assertEqual(err.count("relay: upstream "), FAULTY, err)
        return figures

    def test_threaded_has_a_thread_for_every_upstream(self):
        figures = self.run_with_each_fault("threaded")
        self.assertGreaterEqual(figures["threads"], UPSTREAMS)

    def test_evented_has_a_few_threads(self):
        figures = self.run_with_each_fault("evented")
        self.assertIn(figures["driver"], ("uring", "epoll"))
        # A sanitizer may have a thread of its own.
        self.assertLessEqual(figures["threads"],
                             len(os.sched_getaffinity(0)) + 5)


class Faults(Play):
    """More faults than that, and still every event once and in order."""

    @on_each_backend
    def test_many_faults_of_every_kind(self, backend):
        figures, _ = self.run_to_the_end(backend, "--faults_each=5",
                                         "--faults=reset,garbage,close,"
                                         "damage,skip,reset")
        self.assertEqual(figures["reconnects"], 5 * FAULTY)
        faults = figures["connection_faults"]
        for fault in ("reset", "garbage", "ended_early", "checksum",
                      "sequence"):
            self.assertGreaterEqual(faults[fault], 5)

    @on_each_backend
    def test_an_outage_of_all_upstreams(self, backend):
        figures, _ = self.run_to_the_end(backend, "--outage=500ms",
                                         "--faults=reset")
        upstreams = UPSTREAMS + FAULTY
        # The gate may shut before the last upstream has gone, and resets
        # connections that were not accepted yet.
        self.assertGreaterEqual(figures["reconnects"], upstreams + FAULTY)
        self.assertGreater(figures["connection_faults"]["refused"], 0)
        self.assertEqual(
            figures["connect_attempts"],
            figures["connected"] + figures["reconnects"]
            + figures["connection_faults"]["refused"])


class Stop(RelayTest):
    def stop_with(self, backend, number):
        relay, source, health = self.start_both(backend, seconds=50)
        self.await_health(health, lambda report: report["logged"] >= 300)
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
        self.assertEqual(seen["acknowledged_lost"], 0)

    @on_each_backend
    def test_sigterm_delivers_what_is_logged(self, backend):
        self.stop_with(backend, signal.SIGTERM)

    @on_each_backend
    def test_sigint_delivers_what_is_logged(self, backend):
        self.stop_with(backend, signal.SIGINT)


class Upstream:
    """One end of a connection of the relay, in the hands of a test."""

    def __init__(self, stream):
        self.stream = stream
        self.stream.settimeout(PATIENCE)
        hello = self.read()
        assert hello and hello[0] == HELLO, hello
        _, self.index, self.after = hello

    def read(self):
        """Kind, upstream and sequence of the next message; None at the end."""
        header = self.read_exactly(FRAME_HEADER.size)
        if not header:
            return None
        body = self.read_exactly(FRAME_HEADER.unpack(header)[0])
        kind, upstream, _, sequence, _ = BODY_HEADER.unpack(body)
        return kind, upstream, sequence

    def read_exactly(self, size):
        data = b""
        while len(data) < size:
            piece = self.stream.recv(size - len(data))
            if not piece:
                break
            data += piece
        return data

    def send(self, data):
        self.stream.sendall(data)

    def send_events(self, sequences):
        self.send(events_of(self.index, sequences))

    def await_ack(self, sequence):
        """Asks until events up to that number are acknowledged."""
        deadline = time.monotonic() + PATIENCE
        while True:
            self.send(frame_of(HEARTBEAT, self.index, sequence))
            kind, index, acknowledged = self.read()
            assert (kind, index) == (ACK, self.index)
            assert acknowledged <= sequence
            if acknowledged == sequence:
                return
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def end(self, sequence):
        """Sends the end, and waits for the relay to close."""
        self.send(frame_of(END, self.index, sequence))
        while self.read() is not None:
            pass
        self.stream.close()

    def reset(self):
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                               struct.pack("ii", 1, 0))
        self.stream.close()


class Subscriber:
    """Takes what the relay delivers, and notes it."""

    def __init__(self, address):
        self.stream = connect(address)
        self.events = []
        self.ended = False
        self.file = self.stream.makefile("rb")
        assert self.read()[0] == WELCOME
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def read(self):
        header = self.file.read(FRAME_HEADER.size)
        if len(header) < FRAME_HEADER.size:
            return None
        body = self.file.read(FRAME_HEADER.unpack(header)[0])
        return BODY_HEADER.unpack_from(body)

    def run(self):
        try:
            while message := self.read():
                kind, upstream, order, sequence, _ = message
                if kind == END:
                    self.ended = order == len(self.events)
                    return
                self.events.append((upstream, order, sequence))
        except OSError:
            pass  # then it has not ended

    def close(self):
        self.thread.join(PATIENCE)
        self.file.close()
        self.stream.close()


class Script(RelayTest):
    """The test itself plays the upstreams, word by word."""

    def listen(self, backlog=100):
        listener = hold_port()
        self.addCleanup(listener.close)
        listener.settimeout(PATIENCE)
        listener.listen(backlog)
        return listener

    def accept(self, listener):
        stream, _ = listener.accept()
        self.addCleanup(stream.close)
        return Upstream(stream)

    def start_script(self, backend, listener, upstreams, *options):
        """A relay and a subscriber of it."""
        self.relay, (subscribers, self.health) = self.start_relay(
            backend, "{}:{}".format(*listener.getsockname()), upstreams,
            *options)
        self.subscribers = subscribers
        self.subscriber = Subscriber(subscribers)
        self.addCleanup(self.subscriber.close)
        self.addCleanup(self.stop, self.relay)

    def await_logged(self, count):
        self.await_health(self.health, lambda r: r["logged"] == count)

    def end_script(self, count):
        """Waits for the end; everything there was must be everywhere."""
        code, out, err = self.end(self.relay)
        self.assertEqual(code, 0, err)
        figures = json.loads(out)
        self.assertEqual(figures["logged"], count)
        self.check_log(count)
        self.subscriber.thread.join(PATIENCE)
        self.assertTrue(self.subscriber.ended)
        self.assertEqual(self.subscriber.events, read_log(self.log))
        return figures

    def stop_script(self, count, stop_within):
        """Stops the relay; returns its figures."""
        asked = time.monotonic()
        self.relay.send_signal(signal.SIGTERM)
        figures = self.end_script(count)
        # Beside the bound there is what a loaded machine takes to end.
        self.assertLess(time.monotonic() - asked, stop_within + 20)
        return figures


class Reconnect(Script):
    @on_each_backend
    def test_goes_on_where_a_reset_within_a_frame_broke_it(self, backend):
        listener = self.listen()
        self.start_script(backend, listener, 1, "--retry_first=10ms")
        upstream = self.accept(listener)
        self.assertEqual((upstream.index, upstream.after), (0, 0))
        upstream.send_events(range(1, 11))
        self.await_logged(10)
        upstream.send(events_of(0, [11])[:20])
        upstream.reset()
        upstream = self.accept(listener)
        self.assertEqual((upstream.index, upstream.after), (0, 10))
        upstream.send_events(range(11, 21))
        upstream.await_ack(20)
        upstream.end(20)
        figures = self.end_script(20)
        self.assertEqual(figures["reconnects"], 1)
        self.assertEqual(figures["connect_attempts"], 2)
        self.assertEqual(figures["connection_faults"]["reset"], 1)

    @on_each_backend
    def test_wants_nothing_twice_that_came_before_a_reset(self, backend):
        # How much the relay has read then is up to chance.
        listener = self.listen()
        self.start_script(backend, listener, 1, "--retry_first=1ms",
                          "--retry_most=1ms")
        last = 300
        upstream = self.accept(listener)
        resets = 0
        while upstream.after < last:
            upstream.send_events(
                range(upstream.after + 1, min(upstream.after + 40, last)))
            upstream.send(events_of(0, [min(upstream.after + 40, last)]))
            upstream.reset()
            resets += 1
            seen = upstream.after
            upstream = self.accept(listener)
            self.assertGreaterEqual(upstream.after, seen)
            if resets > 1000:
                # The resets may overtake all events for ever.
                upstream.send_events(range(upstream.after + 1, last + 1))
                break
        upstream.end(last)
        figures = self.end_script(last)
        self.assertEqual(figures["reconnects"], resets)

    @on_each_backend
    def test_gives_up_on_a_frame_that_stalls(self, backend):
        listener = self.listen()
        self.start_script(backend, listener, 1, "--frame_timeout=200ms")
        upstream = self.accept(listener)
        upstream.send_events([1, 2])
        upstream.send(events_of(0, [3])[:-1])
        again = self.accept(listener)
        self.assertIsNone(upstream.read())
        self.assertEqual(again.after, 2)
        again.send_events([3])
        again.end(3)
        figures = self.end_script(3)
        self.assertEqual(figures["read_timeouts"], 1)
        self.assertEqual(figures["reconnects"], 1)

    @on_each_backend
    def test_gives_up_on_silence(self, backend):
        listener = self.listen()
        self.start_script(backend, listener, 1, "--silence_timeout=1s")
        upstream = self.accept(listener)
        upstream.send_events([1])
        again = self.accept(listener)
        self.assertIsNone(upstream.read())
        report = self.await_health(self.health,
                                   lambda r: r["reconnects"] >= 1)
        self.assertGreaterEqual(report["read_timeouts"], 1)
        self.assertEqual(again.after, 1)
        again.end(1)
        figures = self.end_script(1)
        self.assertEqual(figures["connection_faults"]["read_timeout"],
                         figures["read_timeouts"])

    @on_each_backend
    def test_gives_up_on_an_upstream_that_takes_no_acks(self, backend):
        listener = self.listen()
        self.start_script(backend, listener, 1, "--frame_timeout=200ms")
        upstream = self.accept(listener)
        heartbeats = frame_of(HEARTBEAT, 0, 0) * 1000
        # Until the relay has had enough, for it cannot write any more.
        with self.assertRaises(ConnectionError):
            while True:
                upstream.send(heartbeats)
        upstream.stream.close()
        again = self.accept(listener)
        again.end(0)
        figures = self.end_script(0)
        self.assertEqual(figures["read_timeouts"], 1)

    @on_each_backend
    def test_backs_off_while_connects_are_refused(self, backend):
        upstreams = 30
        first, most = 0.02, 0.32
        listener = hold_port()
        self.addCleanup(listener.close)
        listener.settimeout(PATIENCE)
        start = time.monotonic()
        self.start_script(backend, listener, upstreams,
                          f"--retry_first={first}s",
                          f"--retry_most={most}s")
        report = self.await_health(
            self.health,
            lambda r: r["connect_attempts"] >= 6 * upstreams)
        elapsed = time.monotonic() - start
        # No upstream waited less than half of each limit.
        attempts, earliest, limit = 1, first / 2, first
        while earliest <= elapsed:
            limit = min(2 * limit, most)
            earliest += limit / 2
            attempts += 1
        self.assertLessEqual(report["connect_attempts"],
                             attempts * upstreams)
        self.assertEqual(report["connected"], 0)

        listener.listen(100)
        for _ in range(upstreams):
            self.accept(listener).end(0)
        figures = self.end_script(0)
        self.assertEqual(figures["connected"], upstreams)
        self.assertEqual(figures["reconnects"], 0)
        self.assertEqual(figures["connect_attempts"],
                         upstreams + figures["connection_faults"]["refused"])

    @on_each_backend
    def test_gives_up_on_connects_that_hang(self, backend):
        listener = self.listen(backlog=0)
        blockers = fill(listener)
        self.start_script(backend, listener, 3, "--connect_timeout=100ms",
                          "--retry_most=100ms")
        report = self.await_health(self.health,
                                   lambda r: r["connect_timeouts"] >= 6)
        self.assertEqual(report["connected"], 0)
        # The blockers are still to be accepted, and say nothing.
        listener.listen(100)
        for blocker in blockers:
            blocker.close()
        done = 0
        while done < 3:
            try:
                self.accept(listener).end(0)
                done += 1
            except (AssertionError, ConnectionError):
                pass
        figures = self.end_script(0)
        self.assertEqual(figures["connected"], 3)
        self.assertGreaterEqual(figures["connection_faults"]
                                ["connect_timeout"], 6)


class BoundedStop(Script):
    """A stop ends in time, and what was acknowledged is delivered."""

    @on_each_backend
    def test_while_an_upstream_is_down(self, backend):
        listener = self.listen()
        self.start_script(backend, listener, 2, "--retry_first=1h",
                          "--retry_most=1h")
        upstreams = [self.accept(listener), self.accept(listener)]
        for upstream in upstreams:
            upstream.send_events(range(1, 101))
            upstream.await_ack(100)
        upstreams[0].reset()
        self.await_health(self.health, lambda r: r["connected_now"] == 1)
        upstreams[1].send_events([101])
        upstreams[1].await_ack(101)
        figures = self.stop_script(201, stop_within=10)
        self.assertEqual(figures["delivered"], [201])

    @on_each_backend
    def test_while_connects_hang(self, backend):
        listener = self.listen(backlog=0)
        self.start_script(backend, listener, 2, "--connect_timeout=1h",
                          "--retry_first=1ms")
        upstreams = [self.accept(listener), self.accept(listener)]
        blockers = fill(listener)
        upstreams[0].send_events(range(1, 11))
        upstreams[0].await_ack(10)
        upstreams[1].reset()
        self.await_health(self.health,
                          lambda r: r["connect_attempts"] == 3)
        figures = self.stop_script(10, stop_within=10)
        self.assertEqual(figures["reconnects"], 0)
        for blocker in blockers:
            blocker.close()

    @on_each_backend
    def test_while_a_frame_stalls(self, backend):
        listener = self.listen()
        self.start_script(backend, listener, 1, "--frame_timeout=1h")
        upstream = self.accept(listener)
        upstream.send_events([1])
        upstream.await_ack(1)
        upstream.send(events_of(0, [2])[:-1])
        self.stop_script(1, stop_within=10)

    @on_each_backend
    def test_while_a_subscriber_is_slow(self, backend):
        count = 3000
        listener = self.listen()
        self.start_script(backend, listener, 1, "--stop_within=2s",
                          "--subscriber_buffer=4096",
                          "--subscriber_queue=4096")
        slow = connect(self.subscribers, receive_buffer=4096)
        self.addCleanup(slow.close)
        self.await_health(self.health, lambda r: r["subscribers"] == 2)
        upstream = self.accept(listener)
        for first in range(1, count, 100):
            upstream.send_events(range(first, first + 100))
            # So that nobody falls behind who reads at all.
            upstream.await_ack(first + 99)
        figures = self.stop_script(count, stop_within=2)
        self.assertEqual(figures["delivered"], [count])
        self.assertEqual(figures["slow_subscribers_cut"], 1)

    @on_each_backend
    def test_while_the_log_takes_no_more(self, backend):
        # A pipe that nobody reads: what was not written was not acknowledged.
        os.mkfifo(self.log)
        reader = os.open(self.log, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        listener = self.listen()
        self.start_script(backend, listener, 1, "--stop_within=500ms")
        upstream = self.accept(listener)
        for first in range(1, 5001, 100):
            upstream.send_events(range(first, first + 100))
        self.await_health(self.health,
                          lambda r: r["received"] >= r["logged"] + 1000)
        self.relay.send_signal(signal.SIGTERM)
        code, out, err = self.end(self.relay)
        self.assertEqual(code, 1, err)
        self.assertIn("relay: write log", err)
        figures = json.loads(out)
        self.assertLess(figures["logged"], 5000)


class Trouble(RelayTest):
    """What can go wrong once the relay runs."""

    def listen(self):
        listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.addCleanup(listener.close)
        return listener, "{}:{}".format(*listener.getsockname())

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
