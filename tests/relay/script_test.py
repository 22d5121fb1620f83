#!/usr/bin/env python3
"""Plays upstreams of the relay word by word, and looks at what it makes of it.

usage: script_test.py RELAY SOURCE [-v] [Class[.test]]...
"""

import fcntl
import json
import os
import signal
import socket
import struct
import threading
import time
import zlib

from harness import (ACK, BODY_HEADER, END, EVENT, FRAME_HEADER, HEARTBEAT,
                     HELLO, PATIENCE, WELCOME, RelayTest, main,
                     on_each_backend, read_log)


def frame_of(kind, upstream, sequence):
    body = BODY_HEADER.pack(kind, upstream, 0, sequence, 0)
    return FRAME_HEADER.pack(len(body), zlib.crc32(body)) + body


def events_of(upstream, sequences):
    return b"".join(frame_of(EVENT, upstream, n) for n in sequences)


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
        if len(header) < FRAME_HEADER.size:
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

    def last_ack(self):
        """What was acknowledged at last before the relay closed."""
        acknowledged = 0
        try:
            while message := self.read():
                assert message[0] == ACK, message
                acknowledged = message[2]
        except ConnectionError:
            pass
        return acknowledged

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
        self.start_script(backend, listener, 1, "--silence_timeout=2s")
        upstream = self.accept(listener)
        upstream.send_events([1])
        again = self.accept(listener)
        again.end(1)
        self.assertEqual(again.after, 1)
        self.assertIsNone(upstream.read())
        figures = self.end_script(1)
        self.assertEqual(figures["reconnects"], 1)
        self.assertEqual(figures["read_timeouts"], 1)
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

    def make_pipe_of_log(self):
        os.mkfifo(self.log)
        reader = os.open(self.log, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        return reader

    @on_each_backend
    def test_while_the_log_takes_no_more(self, backend):
        # A pipe that nobody reads: what was not written was not acknowledged.
        reader = self.make_pipe_of_log()
        # So small that the events which are awaited below do not fit into it.
        room = fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
        self.assertLess(room, 1000 * len(events_of(0, [1])))
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
        self.assertLessEqual(upstream.last_ack(), figures["logged"])

    @on_each_backend
    def test_of_a_log_that_cannot_be_synced(self, backend):
        reader = self.make_pipe_of_log()
        listener = self.listen()
        self.start_script(backend, listener, 1)
        upstream = self.accept(listener)
        upstream.send_events([1, 2])
        upstream.await_ack(2)
        self.relay.send_signal(signal.SIGTERM)
        code, _, err = self.end(self.relay)
        self.assertEqual(code, 0, err)
        self.assertEqual(read_log(os.dup(reader)), [(0, 1, 1), (0, 2, 2)])


if __name__ == "__main__":
    main()
