"""The ways to wake a thread out of a blocked read, beside a plain read."""

import statistics

from benchmarks import children

TIMEOUT_S = 300

WAYS = ["plain", "ppoll", "attempt", "signal", "resend", "window", "uring"]

# Job, how many per round, and in a smoke run.
JOBS = [
    ("ready", 400_000, 8192),
    ("waiting", 50_000, 500),
    ("cancels", 20_000, 200),
]


def measure(program, job, count):
    argv = [str(program), job, str(count)]
    return children.parse(argv[0], children.output(argv, TIMEOUT_S))


def figure_of(name, program, results, options):
    figure = {"figure": name}
    for job, key, column in (
        ("ready", "cpu_ns", "ready_cpu_ns"),
        ("waiting", "cpu_ns", "trip_cpu_ns"),
        ("cancels", "p50_us", "p50_us"),
        ("cancels", "p99_us", "p99_us"),
    ):
        values = [run[key] for run in results[job]]
        if values:
            figure[column] = statistics.median(values)
    if results["cancels"]:
        figure["max_us"] = max(run["max_us"] for run in results["cancels"])
    if not options.smoke:
        for job in ("ready", "waiting"):
            calls = children.calls_per_item([str(program), job], 20480)
            if calls is not None:
                figure[f"{job}_calls"] = calls
    return figure


def run(options, report):
    programs = {}
    for way in WAYS:
        program = options.build_dir / f"bench/cancel_{way}"
        if program.exists():
            programs[way] = program
        else:
            report.missing(way, program)
    results = {way: {job: [] for job, _, _ in JOBS} for way in programs}
    unable = {("plain", "cancels")}  # it cannot be cancelled
    for _ in range(options.rounds):
        for job, count, smoke_count in JOBS:
            for way, program in programs.items():
                if (way, job) in unable:
                    continue
                number = smoke_count if options.smoke else count
                try:
                    results[way][job].append(measure(program, job, number))
                except children.Unavailable as reason:
                    unable.add((way, job))
                    report.unavailable(f"{way} {job}", str(reason))
    report.figures(
        f"ways to cancel a read, {options.rounds} rounds; a trip is two reads "
        "that wait and two sends",
        [
            figure_of(way, programs[way], results[way], options)
            for way in programs
            if results[way]["ready"]
        ],
    )
