#!/usr/bin/env python3
"""Runs the relay as a process, on real sockets, and looks at all it does.

usage: relay_test.py RELAY SOURCE [-v] [Class[.test]]...
"""

import json
import os
import resource
import signal
import socket
import time
import unittest

from harness import (BACKENDS, FAULTY, HEALTHY, RELAY, SOURCE,
                     UPSTREAMS, WRAPPER, RelayTest, get, main,
                     on_each_backend)


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


class Trouble(RelayTest):
    """What can go wrong once the relay runs."""

    def listen(self):
        listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.addCleanup(listener.close)
        return listener, "{}:{}".format(*listener.getsockname())

    def test_refused_tasks_are_counted_and_the_others_go_on(self):
        _, address = self.listen()
        last_report = "relay: more faults are counted only\n"
        for backend in BACKENDS:
            with self.subTest(backend=backend):
                relay, _ = self.start_relay(backend, address, 60,
                                            "--max_tasks=30")
                # It is said of the first twenty.
                reports = []
                while (line := relay.stderr.readline()) != last_report:
                    self.assertTrue(line, "the relay has ended")
                    reports.append(line)
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

    @unittest.skipIf(WRAPPER, "it takes descriptors, too")
    def test_too_few_descriptors(self):
        self.check_exit(
            RELAY, self.relay_options("--upstreams=2800"), "descriptors",
            "100", preexec_fn=lambda: resource.setrlimit(
                resource.RLIMIT_NOFILE, (100, 100)))


if __name__ == "__main__":
    main()
