#!/usr/bin/env python3
"""Runs the relay of examples/relay on each backend in turn and compares.

    tools/demo                  a table, in about a minute and a half
    tools/demo --json           one JSON object per backend and line

A source process plays the upstreams and the subscribers and checks that every
event reaches every healthy subscriber once and in order, also those of upstreams
that break their connections. What it finds wrong ends the demo with one line
and exit code 1.
"""

import argparse
import contextlib
import json
import os
import pathlib
import selectors
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "release"
PROGRAMS = ["examples/relay/relay", "examples/relay/source"]
BACKENDS = ["threaded", "evented"]
FAULTY = 6
# With fewer events than that the slow subscriber may keep up: buffers of the
# kernel hide some seconds of it.
LEAST_RATE = 500
LEAST_SENT = 10000
# What a run may take beside the time in which events are sent.
OVERHEAD_SECONDS = 80

COLUMNS = [
    # heading, unit, how to show it
    ("threads", "", lambda r: f"{r['threads']:,}"),
    ("memory", "MiB", lambda r: f"{r['rss_kib'] / 1024:.1f}"),
    ("CPU/event", "µs", lambda r: f"{r['cpu_us_per_event']:.1f}"),
    ("sent", "", lambda r: f"{r['sent']:,}"),
    ("delivered", "", lambda r: f"{r['delivered']:,}"),
    ("ratio", "", lambda r: f"{r['delivered_ratio']:.6g}"),
    ("delivery p50", "µs", lambda r: f"{r['delivery_p50_us']:,}"),
    ("delivery p99", "µs", lambda r: f"{r['delivery_p99_us']:,}"),
    ("health p99", "µs", lambda r: f"{r['health_p99_us']:,}"),
    ("peak queue: events", "", lambda r: f"{r['peak_event_queue']:,}"),
    ("peak queue: subscriber", "", lambda r: f"{r['peak_subscriber_queue']:,}"),
    ("slow subscribers cut", "", lambda r: f"{r['slow_subscribers_cut']}"),
    ("connection faults", "", lambda r: f"{sum(r['connection_faults'].values())}"),
    ("reconnects", "", lambda r: f"{r['reconnects']:,}"),
    ("connect timeouts", "", lambda r: f"{r['connect_timeouts']:,}"),
    ("read timeouts", "", lambda r: f"{r['read_timeouts']:,}"),
    ("acknowledged", "", lambda r: f"{r['acknowledged']:,}"),
]


class DemoError(Exception):
    """Why the demo failed, in one line."""


def say(line):
    print(line, file=sys.stderr, flush=True)


def build(folder):
    """Brings the two programs up to date; what the tools say is progress."""
    if not (folder / "build.ninja").exists():
        run_tool(["meson", "setup", str(folder), str(ROOT),
                  "-Dbuildtype=release"])
    jobs = str(len(os.sched_getaffinity(0)))
    run_tool(["ninja", "-C", str(folder), "-j", jobs, *PROGRAMS])


def run_tool(command):
    try:
        done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL,
                              stdout=sys.stderr, check=False)
    except OSError as error:
        raise DemoError(f"{command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        raise DemoError(f"'{' '.join(command)}' failed")


class Child:
    """A process of the demo, which talks in lines."""

    def __init__(self, command, deadline):
        self.name = pathlib.Path(command[0]).name
        self.deadline = deadline
        self.buffer = b""
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def write_line(self, line):
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError as error:
            raise DemoError(f"{self.name} ended early") from error

    def read_line(self, idle=lambda: None):
        """The next line; calls `idle` about once a second while it waits."""
        output = self.process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while b"\n" not in self.buffer:
                if time.monotonic() > self.deadline:
                    raise DemoError(f"{self.name} takes too long")
                if not selector.select(timeout=1):
                    idle()
                    continue
                data = os.read(output.fileno(), 65536)
                if not data:
                    raise DemoError(f"{self.name} ended early")
                self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode()

    def wait(self):
        left = max(0.1, self.deadline - time.monotonic())
        try:
            return self.process.wait(timeout=left)
        except subprocess.TimeoutExpired as error:
            raise DemoError(f"{self.name} does not end") from error

    def stop(self):
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        for end in (self.process.terminate, self.process.kill):
            if self.process.poll() is None:
                end()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(timeout=5)


class Progress:
    """Says about once a second how far the relay is."""

    def __init__(self, backend, health):
        self.backend = backend
        self.url = f"http://{health}/health"
        self.start = time.monotonic()

    def __call__(self):
        try:
            with urllib.request.urlopen(self.url, timeout=5) as answer:
                report = json.load(answer)
        except (OSError, ValueError):
            return  # it has just ended, or has not begun
        seconds = time.monotonic() - self.start
        say(f"{self.backend} {seconds:4.0f} s: "
            f"{report['connected_now']:,} upstreams, "
            f"{report['logged']:,} events, {report['subscribers']} subscribers, "
            f"{report['connection_faults']} connection faults, "
            f"{report['reconnects']:,} reconnects")


def run(backend, options, folder):
    """Plays one round; returns the figures of both programs in one object."""
    deadline = time.monotonic() + options.seconds + OVERHEAD_SECONDS
    relay_path, source_path = (str(options.build / name) for name in PROGRAMS)
    with contextlib.ExitStack() as stack:
        def start(*command):
            child = Child(command, deadline)
            stack.callback(child.stop)
            return child

        outage = [f"--outage={options.outage}"] if options.outage else []
        source = start(source_path, f"--upstreams={options.upstreams}",
                       f"--faulty={FAULTY}", f"--rate={options.rate}",
                       f"--seconds={options.seconds}", *outage)
        address = source.read_line().split()[1]
        relay = start(relay_path, f"--backend={backend}",
                      f"--source={address}",
                      f"--upstreams={options.upstreams + FAULTY}",
                      f"--subscriber_queue={min(options.rate, 4096)}",
                      f"--log={os.path.join(folder, backend + '.log')}")
        ready = relay.read_line()
        source.write_line(ready)
        progress = Progress(backend, ready.split()[3])
        seen = json.loads(source.read_line(progress))
        own = json.loads(relay.read_line(progress))
        # What the relay calls delivered is its own side of the story.
        own["relay_delivered"] = own.pop("delivered")
        result = {**own, **seen}
        check(result, options)
        for child in (source, relay):
            if child.wait() != 0:
                raise DemoError(f"{backend}: {child.name} ended with exit code "
                                f"{child.process.returncode}")
    return result


def check(result, options):
    """Raises if the relay did not do what it is for."""
    backend = result["backend"]
    faults = sum(result["connection_faults"].values())
    for wrong, what in [
            (result["delivered_ratio"] != 1.0,
             f"delivered_ratio is {result['delivered_ratio']}"),
            (result["sent"] != result["logged"],
             f"{result['sent']} events sent, {result['logged']} logged"),
            (result["order_errors"], f"{result['order_errors']} order errors"),
            (result["acknowledged_lost"],
             f"{result['acknowledged_lost']} deliveries lost after they were "
             "acknowledged"),
            (result["checksum_errors"],
             f"{result['checksum_errors']} checksum errors"),
            (result["health_failures"],
             f"{result['health_failures']} health probes failed"),
            (result["slow_subscribers_cut"] != 1,
             f"{result['slow_subscribers_cut']} subscribers were cut off, "
             "expected the slow one"),
            (faults < FAULTY,
             f"{faults} connection faults, expected at least {FAULTY}"),
            (result["reconnects"] < FAULTY,
             f"{result['reconnects']} reconnects, expected at least {FAULTY}"),
            (backend == "threaded" and result["threads"] < options.upstreams,
             f"{result['threads']} threads for {options.upstreams} upstreams"),
            (backend == "evented"
             and result["threads"] > len(os.sched_getaffinity(0)) + 4,
             f"{result['threads']} threads"),
    ]:
        if wrong:
            raise DemoError(f"{backend}: {what}")


def print_table(results):
    rows = [("", *(r["backend"] + (f" ({r['driver']})" if r["driver"] else "")
                   for r in results))]
    for heading, unit, show in COLUMNS:
        label = f"{heading}, {unit}" if unit else heading
        rows.append((label, *(show(result) for result in results)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for label, *cells in rows:
        print("  ".join([label.ljust(widths[0]),
                         *(cell.rjust(width)
                           for cell, width in zip(cells, widths[1:]))]))


def positive(text):
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def parse_options():
    parser = argparse.ArgumentParser(
        prog="tools/demo",
        description="Runs the relay on each backend; installs what is missing.")
    parser.add_argument("--json", action="store_true",
                        help="print one JSON object per backend and line")
    parser.add_argument("--upstreams", type=positive, default=2800,
                        help="upstreams (default %(default)s)")
    parser.add_argument("--seconds", type=positive, default=30,
                        help="how long events are sent, on each backend "
                        "(default %(default)s)")
    parser.add_argument("--rate", type=positive, default=5000,
                        help="events a second (default %(default)s)")
    parser.add_argument("--outage", metavar="TIME",
                        help="for how long, once, all upstreams are gone, "
                        "such as 3s (default: not at all)")
    parser.add_argument("--build", type=pathlib.Path, metavar="DIR",
                        help="use the programs of this build folder as they "
                        "are")
    options = parser.parse_args()
    if options.rate < LEAST_RATE or options.rate * options.seconds < LEAST_SENT:
        parser.error(f"the slow subscriber is slow from {LEAST_RATE} events a "
                     f"second and {LEAST_SENT} events on")
    return options


def main():
    options = parse_options()
    # So that children are stopped on the way out.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda got, _: sys.exit(128 + got))
    results = []
    try:
        if options.build is None:
            options.build = BUILD
            build(BUILD)
        options.build = options.build.resolve()
        with tempfile.TemporaryDirectory(prefix="weft-demo-") as folder:
            for backend in BACKENDS:
                result = run(backend, options, folder)
                results.append(result)
                if options.json:
                    print(json.dumps(result), flush=True)
    except DemoError as error:
        say(f"demo: {error}")
        return 1
    if not options.json:
        print_table(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
