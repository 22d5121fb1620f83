"""How figures are printed."""

import json
import sys

from benchmarks import echo


class JsonReport:
    """One JSON object per figure and line."""

    def __init__(self):
        self.errors = 0

    def emit(self, figure):
        print(json.dumps(figure), flush=True)

    def missing(self, name, path):
        self.emit({"figure": name, "missing": str(path)})

    def unavailable(self, name, reason):
        self.emit({"figure": name, "unavailable": reason})

    def echo(self, figures, layout, connections, options):
        for figure in figures:
            self.errors += figure["errors"]
            self.emit(figure)

    def benchmarks(self, name, figures, options):
        for figure in figures:
            self.emit(figure)

    def figures(self, title, figures):
        for figure in figures:
            self.emit(figure)


class TextReport:
    """Tables for people."""

    def __init__(self):
        self.errors = 0

    def missing(self, name, path):
        print(f"MISSING      {name}: no {path}", flush=True)

    def unavailable(self, name, reason):
        print(f"UNAVAILABLE  {name}: {reason}", flush=True)

    def table(self, header, rows):
        columns = zip(*([header] + rows))
        widths = [max(len(cell) for cell in column) for column in columns]
        for row in [header] + rows:
            cells = [cell.rjust(width) for cell, width in zip(row, widths)]
            cells[0] = row[0].ljust(widths[0])
            print("  ".join(cells).rstrip())
        sys.stdout.flush()

    def target(self, figure):
        if figure.get("within") is None:
            return ""
        word = "ok" if figure["within"] else "OVER"
        bound = f"{figure['target']:.2f} x {figure['limit']}"
        return f"{word}: {figure['ratio']:.3f} of {bound}"

    def echo(self, figures, layout, connections, options):
        print(
            f"\necho, {connections} connections, {echo.MESSAGE_SIZE} bytes, "
            f"{options.rounds} x {options.seconds:g} s, {layout.name}: "
            f"server on CPU {layout.server_cpu}, load on CPU {layout.load_cpu}"
        )
        header = ["server", "CPU µs/request", "min", "max", "requests/s"]
        header += ["p50 µs", "p99 µs", "busy", "errors"]
        header += [f"/ {name}" for name in echo.BASELINES] + ["target"]
        rows = []
        for figure in figures:
            self.errors += figure["errors"]
            row = [figure["figure"]]
            for key in ("cpu_us_per_request", "cpu_us_min", "cpu_us_max"):
                row.append(f"{figure[key]:.3f}")
            row.append(f"{figure['requests_per_second']:.0f}")
            row += [f"{figure['p50_us']:.0f}", f"{figure['p99_us']:.0f}"]
            row += [f"{figure['server_busy']:.0%}", str(figure["errors"])]
            for name in echo.BASELINES:
                ratio = figure["ratios"].get(name)
                row.append("-" if ratio is None else f"{ratio:.3f}")
            rows.append(row + [self.target(figure)])
        self.table(header, rows)

    def benchmarks(self, name, figures, options):
        print(f"\n{name}, {options.rounds} rounds, CPU time")
        header = ["benchmark", "ns", "min", "max", "limit", "limit ns", "ratio"]
        rows = []
        for figure in figures:
            row = [figure["figure"]]
            row += [f"{figure[key]:.2f}" for key in ("ns", "ns_min", "ns_max")]
            if "limit" in figure:
                row += [figure["limit"], f"{figure['limit_ns']:.2f}"]
                row.append(f"{figure['ratio']:.3f}")
            else:
                row += ["", "", ""]
            rows.append(row + [self.target(figure)])
        self.table(header + ["target"], rows)

    def figures(self, title, figures):
        """One table with a column for each number that any figure has."""
        print(f"\n{title}")
        hidden = {"figure", "limit", "target", "ratio", "within"}
        keys = list(dict.fromkeys(k for f in figures for k in f))
        keys = [key for key in keys if key not in hidden]
        rows = []
        for figure in figures:
            row = [figure["figure"]]
            for key in keys:
                value = figure.get(key)
                row.append("" if value is None else f"{value:.6g}")
            word = {True: "ok", False: "OVER"}.get(figure.get("within"), "")
            if word:
                word += f": at most {figure['target']:g} {figure['limit']}"
            rows.append(row + [word])
        self.table(["", *keys, "target"], rows)
