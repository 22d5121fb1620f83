"""What figures are held against."""

import statistics

# (name, limit name, target ratio); None where no target is set.
TARGETS = [
    ("echo_weft evented", "echo_uring", 1.15),
    ("echo_weft threaded", "echo_threads", None),
    ("FiberSwitch", "BareJump", 2.5),
    ("ContextSwitch", "RegistersOnly", 1.15),
]


def median_ratio(rounds, limit_rounds):
    return statistics.median(a / b for a, b in zip(rounds, limit_rounds))


def target_of(name):
    for figure, limit, target in TARGETS:
        if figure == name:
            return limit, target
    return None, None


def verdict(limit, target, ratio):
    if limit is None:
        return {}
    within = ratio <= target if ratio and target else None
    return {"limit": limit, "target": target, "ratio": ratio, "within": within}
