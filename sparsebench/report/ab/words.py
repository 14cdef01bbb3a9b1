"""What every format says of a comparison."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator

from sparsebench.bench.ab_stats import Change
from sparsebench.bench.checkout import Commit
from sparsebench.report.ab.cases import Case, Comparison, Outcome

# What of each outcome is said, the gravest first.
HEADINGS: dict[Outcome, str] = {
    "wrong": "wrong in head",
    "failed": "failed in head",
    "slower": "slower",
    "faster": "faster",
    "gone": "gone from head",
    "new": "new in head",
    "unknown": "not comparable: base had no right answer",
    "undecided": "undecided",
    "same": "the same",
}


def percent(log_ratio: float) -> str:
    """Return a log-ratio as a change in per cent: "+8.1 %"."""
    value = 100 * math.expm1(log_ratio)
    return f"{value:+.1f} %" if abs(value) < 99.95 else f"{value:+.0f} %"


def interval(found: Change) -> str:
    """Return the limits of a change: "+7.0 to +9.3 %"."""
    if found.low is None or found.high is None:
        return "no interval"
    return f"{percent(found.low).removesuffix(' %')} to {percent(found.high)}"


def spread(found: Change) -> str:
    """Return the standard deviation between pairs of processes in per cent."""
    return "" if found.spread is None else f"{100 * found.spread:.1f} %"


def sides(comparison: Comparison) -> dict[str, str]:
    """Return what base and head are, a line each."""
    return {label: Commit(**comparison.record[label]).label for label in ("base", "head")}


def conditions(comparison: Comparison) -> str:
    """Say what was measured, and by which criteria it is judged."""
    criteria, effort = comparison.criteria, comparison.record["settings"]["effort"]
    levels = ", ".join(dict.fromkeys(case.level for case in comparison.cases))
    return (
        f"{comparison.record['name']}: {len(comparison.cases)} cases, {effort['repeats']} pairs of processes,"
        f" level {levels or '-'}; a difference is more than {100 * criteria.threshold:g} %"
        f" and {1e9 * criteria.floor_s:g} ns; sd is between pairs of processes"
    )


def summary(comparison: Comparison) -> str:
    """Count outcomes: "2 slower, 1 faster, 130 the same, 11 undecided"."""
    counts = comparison.counts
    always: tuple[Outcome, ...] = ("slower", "faster", "same", "undecided")
    parts = [f"{counts[name]} {HEADINGS[name]}" for name in HEADINGS if counts[name] or name in always]
    return ", ".join(parts)


def place(case: Case) -> str:
    """Return where a case is: problem and threads."""
    return f"{case.problem}, {case.threads} thread{'s' if case.threads > 1 else ''}"


def repro(comparison: Comparison) -> str:
    """Return the command that compares the gravest case again; empty if there is none to look at."""
    grave: tuple[Outcome, ...] = ("wrong", "failed", "slower")
    worst = next((case for outcome in grave for case in comparison.of(outcome)), None)
    return "" if worst is None else shlex.join(_words(comparison, worst))


def _words(comparison: Comparison, case: Case) -> Iterator[str]:
    data = comparison.record["settings"]["data"]
    yield from ("sparsebench", "ab")
    for label in ("base", "head"):
        yield from (f"--{label}", comparison.record[label]["sha"][:12])
    yield from ("--problem", case.problem, "--kernels", case.kernel, "--threads", str(case.threads))
    yield from ("--isa", case.level)
    yield from ("--data", data) if data else ()
