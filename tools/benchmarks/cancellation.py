"""Deadlines, sleeping tasks and cancels, on weft and on its peers.

Every contestant is one program with the jobs that bench/cancellation_weft.cc
lists; a peer that lacks a job leaves it out.
"""

import dataclasses
import os
import statistics

from benchmarks import children, peers

TIMEOUT_S = 300

JOBS = {
    "evented": {"deadline", "sleepers", "cancel"},
    "threaded": {"deadline", "cancel"},
    "go": {"deadline", "sleepers", "cancel"},
    "asio": {"deadline", "sleepers", "cancel"},
    "fiber": {"sleepers"},
}
CANCELS = ["read", "sleep", "semaphore"]
NO_SEMAPHORE = {"asio"}

MOST_SCOPE_NS = 150
MOST_EXTRA_SLEEP_S = 3
MOST_CANCEL_US = 1000
MOST_EXTRA_CALLS = 1


@dataclasses.dataclass
class Sizes:
    reads: int
    tasks: int
    cancels: int


def sizes(options):
    if options.smoke:
        return Sizes(reads=8192, tasks=1000, cancels=50)
    return Sizes(
        reads=int(250_000 * options.seconds),
        tasks=1_000_000,
        cancels=int(2000 * options.seconds),
    )


def contestants(options, report):
    """Name to command line."""
    found = {}
    weft = options.build_dir / "bench/cancellation_weft"
    if weft.exists():
        for backend in ("evented", "threaded"):
            found[backend] = [str(weft), "--backend", backend]
    else:
        report.missing("cancellation_weft", weft)
    for name, program in peers.build(options, report).items():
        found[name] = [str(program)]
    return found


def run_job(argv, job, count, *more):
    argv = argv + ["--job", job, "--count", str(count), *more]
    return children.parse(argv[0], children.output(argv, TIMEOUT_S))


def interleaved(contestants_, options, one):
    """Calls `one(name, argv)` in rounds; the results of each, by name."""
    results = {name: [] for name in contestants_}
    for _ in range(options.rounds):
        for name, argv in contestants_.items():
            results[name].append(one(name, argv))
    return results


def medians(results, keys):
    return {key: statistics.median(r[key] for r in results) for key in keys}


def verdict(value, target, limit):
    return {"limit": limit, "target": target, "within": value <= target}


def can(found, job):
    return {name: argv for name, argv in found.items() if job in JOBS[name]}


def deadlines(found, size, options, report):
    results = interleaved(
        can(found, "deadline"),
        options,
        lambda name, argv: run_job(argv, "deadline", size.reads),
    )
    figures = []
    for name, runs in results.items():
        keys = ("read_ns", "scoped_read_ns", "added_ns")
        figure = {"figure": name} | medians(runs, keys)
        if name == "evented":
            limit = "ns added to the read alone"
            figure |= verdict(figure["added_ns"], MOST_SCOPE_NS, limit)
        figures.append(figure)
    report.figures(
        f"a read in a deadline scope, {options.rounds} rounds of "
        f"{size.reads} reads, CPU time",
        figures,
    )


def system_calls(found, options, report):
    """Per read that has data: weft's, beside those of a plain read."""
    plain = options.build_dir / "bench/cancel_plain"
    argvs = {"read(2)": [str(plain), "ready"]}
    for backend in ("evented", "threaded"):
        if backend in found:
            for job in ("read", "scoped-read"):
                argv = found[backend] + ["--job", job, "--count"]
                argvs[f"{backend} {job}"] = argv
    calls = {}
    for name, argv in argvs.items():
        count = children.calls_per_item(argv, 20480)
        if count is None:
            report.unavailable("system calls per read", "no strace")
            return
        calls[name] = count
    figures = []
    for name, count in calls.items():
        figure = {"figure": name, "calls_per_read": count}
        if name.startswith("threaded"):
            most = calls["read(2)"] + MOST_EXTRA_CALLS
            figure |= verdict(count, most, "with one extra")
        elif name == "evented scoped-read":
            figure |= verdict(count, calls["evented read"], "as without a scope")
        figures.append(figure)
    report.figures("system calls for a read that has data", figures)


def sleepers(found, size, options, report):
    def one(_, argv):
        single = run_job(argv, "sleepers", 1)
        before = os.times()
        many = run_job(argv, "sleepers", size.tasks)
        after = os.times()
        cpu = after.children_user - before.children_user
        cpu += after.children_system - before.children_system
        extra = many["wall_s"] - single["wall_s"]
        return many | {"extra_s": extra, "cpu_s": cpu}

    sleeping = can(found, "sleepers")
    results = interleaved(sleeping, options, one)
    # Long enough for all to sleep at once, however slow the start.
    pause = "1" if options.smoke else "15"
    figures = []
    for name, runs in results.items():
        figure = {"figure": name} | medians(runs, ("wall_s", "extra_s", "cpu_s"))
        memory = run_job(
            sleeping[name], "sleepers", size.tasks, "--seconds", pause
        )
        figure["bytes_per_task"] = memory["bytes_per_task"]
        if name == "evented":
            limit = "s more than one task"
            figure |= verdict(figure["extra_s"], MOST_EXTRA_SLEEP_S, limit)
        figures.append(figure)
    report.figures(
        f"{size.tasks} tasks sleep for 1 s, {options.rounds} rounds, "
        f"load of the machine {os.getloadavg()[0]:.1f}",
        figures,
    )


def cancels(found, size, options, report):
    for what in CANCELS:
        able = {
            name: argv
            for name, argv in can(found, "cancel").items()
            if not (what == "semaphore" and name in NO_SEMAPHORE)
        }
        results = interleaved(
            able,
            options,
            lambda name, argv, job=f"cancel-{what}": run_job(
                argv, job, size.cancels
            ),
        )
        figures = []
        for name, runs in results.items():
            figure = {"figure": name}
            figure |= medians(runs, ("p50_us", "p99_us"))
            figure["max_us"] = max(run["max_us"] for run in runs)
            if name in ("evented", "threaded"):
                limit = "µs in the median"
                figure |= verdict(figure["p50_us"], MOST_CANCEL_US, limit)
            figures.append(figure)
        report.figures(
            f"cancel of a blocked {what}, {options.rounds} rounds of "
            f"{size.cancels}, from the cancel to the return",
            figures,
        )


def run(options, report):
    size = sizes(options)
    found = contestants(options, report)
    deadlines(found, size, options, report)
    if not options.smoke:
        system_calls(found, options, report)
    cancels(found, size, options, report)
    sleepers(found, size, options, report)
