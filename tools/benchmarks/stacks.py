"""What parked fibers take: memory, page tables, mappings."""

from benchmarks import children

TIMEOUT_S = 300

COUNTS = [100_000, 1_000_000]
SMOKE_COUNTS = [1000]

# One page, a control block on it, and the task on the heap.
MOST_RESIDENT = 4.6 * 1024


def figure_of(result):
    count = result["fibers"]
    figure = {"figure": f"{count} parked fibers", **result}
    del figure["fibers"]
    if count < COUNTS[0]:
        return figure
    within = result["alive"] == count and result["resident"] <= MOST_RESIDENT
    return figure | {
        "limit": "bytes resident, all alive",
        "target": MOST_RESIDENT,
        "within": within,
    }


def run(options, report):
    program = options.build_dir / "bench/stacks_weft"
    if not program.exists():
        report.missing("stacks_weft", program)
        return
    figures = []
    for count in SMOKE_COUNTS if options.smoke else COUNTS:
        text = children.output([str(program), "--count", str(count)], TIMEOUT_S)
        figures.append(figure_of(children.parse(program, text)))
    report.figures("stacks, bytes for each parked fiber", figures)
