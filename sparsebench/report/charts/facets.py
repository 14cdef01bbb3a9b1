"""How cases are parted into groups, panels and points, and merged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sparsebench.bench.stats import geomean
from sparsebench.report.cells import machine_labels, split
from sparsebench.report.charts.model import Point
from sparsebench.report.frame import Record, sparsity_text, variant_label

# What a panel may be of: the name, and its text in a title.
FACETS: dict[str, Callable[[Record], str]] = {
    "variant": variant_label,
    "shape": lambda r: r["shape"] or f"{r['M']}x{r['K']}",
    "N": lambda r: f"N = {r['N']}",
    "density": lambda r: sparsity_text(r["density"]),
}


def with_speedup(records: Iterable[Record]) -> list[Record]:
    """Return the cases that have a speed-up over another kernel."""
    return [r for r in records if r["status"] == "ok" and r["speedup"] is not None and r["kernel"] != r["baseline"]]


def group_labeller(records: Sequence[Record], *, threads: bool = True) -> Callable[[Record], str]:
    """Return what says which run, suite, baseline, threads and level a case is of, but for what all share.

    Threads and level always stand, unless `threads` is false, where cases of all thread counts are one group.
    """
    varying = [n for n in ("run", "suite", "baseline") if len({r.get(n) for r in records}) > 1]

    def label(record: Record) -> str:
        parts = [f"over {record[n]}" if n == "baseline" else str(record[n]) for n in varying]
        return ", ".join([*parts, *(machine_labels(record) if threads else [record["level"] or ""])])

    return label


def panels(records: Sequence[Record], choices: Sequence[tuple[str, ...]], most: int) -> list[tuple[str, list[Record]]]:
    """Part cases into panels by the first choice of facets that makes at most `most`; titles leave out what all share.

    The last choice is taken whatever it makes.
    """
    for names in choices:
        parts = split(records, lambda record, names=names: tuple(FACETS[n](record) for n in names))  # type: ignore[misc]
        if len(parts) <= most:
            break
    seen = {name: list(dict.fromkeys(FACETS[name](record) for record in records)) for name in names}
    parts.sort(key=lambda part: [_rank(name, part[0], seen[name]) for name in names])
    telling = [name for name in names if len({FACETS[name](part[0]) for part in parts}) > 1]
    return [(", ".join(FACETS[name](part[0]) for name in telling or names), part) for part in parts]


def _rank(name: str, record: Record, seen: Sequence[str]) -> float:
    """Return where a panel comes: by number, or words in order of appearance."""
    if name in ("N", "density"):
        return float(record["N"] if name == "N" else -record["density"])
    return seen.index(FACETS[name](record))


def merged(
    records: Sequence[Record], value: str, low: str = "", high: str = ""
) -> tuple[float, float | None, float | None]:
    """Return the geometric mean of a column, and that of its lower and upper limits.

    The standard deviation of a mean is at most the mean of the standard deviations: these limits cover at least as
    often as the cases' own, however their errors depend on one another.
    """
    value_mean, low_mean, high_mean = (
        _geomean([r[name] for r in records]) if name else None for name in (value, low, high)
    )
    if value_mean is None:
        raise ValueError(f"a case has no {value}")
    return value_mean, low_mean, high_mean


def _geomean(values: Sequence[float | None]) -> float | None:
    """Return the geometric mean; None where a value is absent."""
    known = [value for value in values if value is not None]
    return geomean(known) if len(known) == len(values) else None


def speedup_point(records: Sequence[Record], where: float, what: str, *, row: bool = False) -> Point:
    """Return the merged speed-up of cases at x, or in a row: there the value lies along x."""
    value, low, high = merged(records, "speedup", "speedup_ci_low", "speedup_ci_high")
    limits = f" ({low:.3g} to {high:.3g})" if low is not None and high is not None else ""
    tip = f"{what}: {value:.3g}x over {records[0]['baseline']}{limits}{of(records)}"
    return Point(value, where, low, high, tip) if row else Point(where, value, low, high, tip)


def of(records: Sequence[Record]) -> str:
    """Say of how many cases a value is, where of several."""
    return f", geometric mean of {len(records)}" if len(records) > 1 else ""


def by_kernel(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Part cases by kernel: ours first, then others, in order of appearance."""
    found: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: record["provider"] != "sparsebench"):
        found.setdefault(record["kernel"], []).append(record)
    return found


def full_table(records: Sequence[Record], x: Callable[[Record], float], family: Sequence[str]) -> list[Record]:
    """Return the cases of the largest full table of families x values of x; none if no family has several x.

    A mean over other problems at each x would show how the problems differ, not what x does.
    """
    known: dict[tuple[object, ...], set[float]] = {}
    for record in records:
        known.setdefault(tuple(record[name] for name in family), set()).add(x(record))
    choices = {frozenset(values) for values in known.values() if len(values) > 1}
    if not choices:
        return []

    def cells(values: frozenset[float]) -> int:
        return len(values) * sum(values <= measured for measured in known.values())

    best = max(sorted(choices, key=sorted), key=cells)
    whole = {name for name, measured in known.items() if best <= measured}
    return [r for r in records if x(r) in best and tuple(r[name] for name in family) in whole]
