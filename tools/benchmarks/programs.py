"""Google Benchmark programs."""

import os
import statistics

from benchmarks import children, targets

# By the name they have on the command line.
PROGRAMS = {"switch": "bench/switch_bench"}


def benchmark_round(path, options):
    """Nanoseconds per item (per iteration where none are counted), by name."""
    units = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}
    argv = [
        str(path),
        "--benchmark_format=json",
        f"--benchmark_min_time={options.seconds / 4}",
    ]
    text = children.output(argv, 300, cpu=max(os.sched_getaffinity(0)))
    times = {}
    for entry in children.parse(path, text)["benchmarks"]:
        if entry.get("error_occurred"):
            raise children.BenchError(f"{entry['name']}: {entry['error_message']}")
        if "items_per_second" in entry:
            times[entry["name"]] = 1e9 / entry["items_per_second"]
        else:
            times[entry["name"]] = entry["cpu_time"] * units[entry["time_unit"]]
    return times


def run(name, options, report):
    path = options.build_dir / PROGRAMS[name]
    if not path.exists():
        report.missing(name, path)
        return
    rounds = [benchmark_round(path, options) for _ in range(options.rounds)]
    figures = []
    for benchmark in rounds[0]:
        times = [r[benchmark] for r in rounds]
        limit, target = targets.target_of(benchmark)
        figure = {
            "figure": benchmark,
            "ns": statistics.median(times),
            "ns_min": min(times),
            "ns_max": max(times),
        }
        if limit in rounds[0]:
            limit_times = [r[limit] for r in rounds]
            figure["limit_ns"] = statistics.median(limit_times)
            ratio = targets.median_ratio(times, limit_times)
            figure |= targets.verdict(limit, target, ratio)
        figures.append(figure)
    report.benchmarks(name, figures, options)
