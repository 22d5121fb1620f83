"""The echo servers under load."""

import contextlib
import dataclasses
import math
import os
import statistics

from benchmarks import children, targets

# Echo servers: name and command line, from the build folder.
SERVERS = [
    ("echo_uring", ["bench/echo_uring"]),
    ("echo_uring --multishot", ["bench/echo_uring", "--multishot"]),
    ("echo_epoll", ["bench/echo_epoll"]),
    ("echo_threads", ["bench/echo_threads"]),
    (
        "echo_weft evented",
        ["bench/echo_weft", "--backend", "evented", "--workers", "1"],
    ),
    ("echo_weft threaded", ["bench/echo_weft", "--backend", "threaded"]),
]

# Servers every other one is compared with.
BASELINES = ["echo_uring", "echo_uring --multishot"]

CONNECTIONS = [100, 1000]
MESSAGE_SIZE = 64


@contextlib.contextmanager
def scheduled(policy):
    """Children started in this block inherit the scheduling policy."""
    before = os.sched_getscheduler(0)
    os.sched_setscheduler(0, policy, os.sched_param(0))
    try:
        yield
    finally:
        os.sched_setscheduler(0, before, os.sched_param(0))


@dataclasses.dataclass
class EchoRound:
    cpu_us: float  # per request
    rate: float  # requests per second
    p50_us: float
    p99_us: float
    busy: float  # share of one CPU the server used
    errors: int


@dataclasses.dataclass
class Layout:
    name: str
    server_cpu: int
    load_cpu: int
    policy: int


def layouts(wanted):
    cpus = sorted(os.sched_getaffinity(0))
    first, last = cpus[0], cpus[-1]
    found = []
    if wanted in ("split", "both"):
        if first != last:
            found.append(Layout("split", last, first, os.SCHED_OTHER))
        elif wanted == "split":
            raise children.BenchError("--layout split: there is only one CPU")
    if wanted in ("shared", "both"):
        found.append(Layout("shared", last, last, os.SCHED_BATCH))
    return found


def echo_round(command, connections, layout, options):
    """One server under load for one interval."""
    bound = math.ceil(options.seconds + options.warmup + 60)
    server_argv = command + ["--port", "0", "--seconds", str(bound)]
    server_argv += ["--cpu", str(layout.server_cpu)]
    with scheduled(layout.policy), children.child(server_argv) as server:
        words = children.read_line(server, 10).split()
        if len(words) != 2 or words[0] != "listening":
            if server.wait(timeout=5) == children.EXIT_UNAVAILABLE:
                raise children.Unavailable(children.error_text(server))
            raise children.BenchError(f"{command[0]}: {children.error_text(server)}")
        load = [str(options.build_dir / "bench/load"), "--port", words[1]]
        load += ["--connections", str(connections), "--size", str(MESSAGE_SIZE)]
        load += ["--seconds", str(options.seconds)]
        load += ["--warmup", str(options.warmup)]
        load += ["--server-pid", str(server.pid), "--cpu", str(layout.load_cpu)]
        text = children.output(load, options.seconds + options.warmup + 30)
        client = children.parse(load[0], text)
        server.terminate()
        report = children.parse(command[0], children.read_line(server, 5))
        if server.wait(timeout=10) != 0:
            raise children.BenchError(f"{command[0]}: {children.error_text(server)}")
    if report["requests"] == 0 or client["requests"] == 0:
        raise children.BenchError(f"{command[0]}: served nothing")
    return EchoRound(
        cpu_us=report["cpu_us"] / report["requests"],
        rate=client["requests"] / client["seconds"],
        p50_us=client["p50_us"],
        p99_us=client["p99_us"],
        busy=report["cpu_us"] / 1e6 / client["seconds"],
        errors=client["errors"],
    )


def echo_figure(name, results, connections, layout):
    """What one server did over all rounds, with its ratios."""
    rounds = results[name]
    cpu = {other: [r.cpu_us for r in results[other]] for other in results}
    limit, target = targets.target_of(name)
    against = list(BASELINES)
    if limit is not None and limit not in against:
        against.append(limit)
    figure = {
        "figure": name,
        "connections": connections,
        "layout": layout.name,
        "cpu_us_per_request": statistics.median(cpu[name]),
        "cpu_us_min": min(cpu[name]),
        "cpu_us_max": max(cpu[name]),
        "requests_per_second": statistics.median(r.rate for r in rounds),
        "p50_us": statistics.median(r.p50_us for r in rounds),
        "p99_us": statistics.median(r.p99_us for r in rounds),
        "server_busy": statistics.median(r.busy for r in rounds),
        "errors": sum(r.errors for r in rounds),
        "ratios": {
            other: targets.median_ratio(cpu[name], cpu[other])
            for other in against
            if other in results
        },
    }
    return figure | targets.verdict(limit, target, figure["ratios"].get(limit))


def run(options, report):
    contestants = {}
    for name, command in SERVERS:
        path = options.build_dir / command[0]
        if path.exists():
            contestants[name] = [str(path)] + command[1:]
        else:
            report.missing(name, path)
    for layout in layouts(options.layout):
        for connections in options.connections:
            results = {name: [] for name in contestants}
            for _ in range(options.rounds):
                for name in list(results):
                    try:
                        one = echo_round(
                            contestants[name], connections, layout, options
                        )
                    except children.Unavailable as reason:
                        report.unavailable(name, str(reason))
                        del contestants[name], results[name]
                        continue
                    results[name].append(one)
            figures = [
                echo_figure(name, results, connections, layout)
                for name in results
            ]
            report.echo(figures, layout, connections, options)
