"""What a report can show of a case: its column, how people read it, which way is better, how cases are merged."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sparsebench.bench.stats import Interval, geomean, half_width
from sparsebench.errors import InputError


def number(value: float) -> str:
    """Return three significant digits without an exponent, where that is readable: 0.98, 1.23, 45.6, 789, 12345."""
    size = abs(float(f"{value:.3g}"))
    if size >= 100:
        return f"{value:.0f}"
    if size >= 10:
        return f"{value:.1f}"
    if size >= 0.1:
        return f"{value:.2f}"
    return f"{value:.2g}"


def duration(seconds: float) -> str:
    """Return seconds with the unit that leaves one to three digits before the point."""
    for unit, scale in (("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3)):
        if float(f"{seconds / scale:.3g}") < 1000:
            return f"{number(seconds / scale)} {unit}"
    return f"{number(seconds)} s"


def rate(value: float) -> str:
    """Return three significant digits with commas between thousands: 0.98, 45.6, 28,300."""
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 1000 else number(value)


def size(nbytes: float) -> str:
    """Return bytes with a binary unit."""
    for unit, scale in (("B", 1), ("KiB", 2**10), ("MiB", 2**20)):
        if nbytes / scale < 1000:
            return f"{number(nbytes / scale)} {unit}"
    return f"{number(nbytes / 2**30)} GiB"


def error(value: float) -> str:
    """Return two digits of a relative error."""
    return f"{value:.1e}"


def spread(record: Mapping[str, Any], value: str, low: str, high: str) -> str:
    """Return half an interval's width in whole per cent of its value, rounded up; "±?" where there is none."""
    width = half_width(Interval(record[low], record[value], record[high]))
    # Up, so that no interval looks narrower than it is.
    return "±?" if width is None else f"±{max(1, math.ceil(100 * width))}%"


@dataclass(frozen=True, slots=True)
class Metric:
    """One quantity that tables can show.

    Attributes
    ----------
    column
        Its name in ``results.csv``.
    title
        What a table of it is called; ``{baseline}`` is filled in.
    show
        Text of one value.
    better
        Whether the best value is the largest or the smallest.
    interval
        Columns (value, low, high) from which the relative width of its interval follows; empty where it has none.
    merge
        One value for several problems: the geometric mean, but the largest of errors.
    merged
        What `merge` is called.
    """

    column: str
    title: str
    show: Callable[[float], str]
    better: Literal["max", "min"]
    interval: tuple[str, str, str] | tuple[()] = ()
    merge: Callable[[Sequence[float]], float] = geomean
    merged: str = "geometric mean"

    def detail(self, record: Mapping[str, Any]) -> str:
        """Text of the interval of a case that has the metric."""
        return spread(record, *self.interval) if self.interval else ""

    def of(self, record: Mapping[str, Any]) -> Interval:
        """Return the value of a case that has the metric, with its limits where it has any."""
        value = record[self.column]
        middle, low, high = (record[name] for name in self.interval or (self.column, self.column, self.column))
        if not self.interval or low is None or high is None:
            return Interval(None, value, None)
        low, high = low / middle, high / middle
        # A time per column is a time; a rate is the larger, the smaller the time.
        rate = self.interval == _TIME and self.better == "max"
        return Interval(value / high, value, value / low) if rate else Interval(value * low, value, value * high)


_TIME = ("median_s", "ci_low_s", "ci_high_s")
# A rate's interval is as wide, relatively, as that of the time it divides.
METRICS = {
    "speedup": Metric(
        "speedup",
        "speed-up over {baseline}",
        number,
        "max",
        ("speedup", "speedup_ci_low", "speedup_ci_high"),
    ),
    "median": Metric("median_s", "median time per call", duration, "min", _TIME),
    "per_column": Metric("time_per_column_s", "median time per column of X", duration, "min", _TIME),
    "items_per_s": Metric("items_per_s", "columns of X or samples a second", rate, "max", _TIME),
    "gflops_useful": Metric("gflops_useful", "useful GFLOP/s (2 nnz N / time)", number, "max", _TIME),
    "gflops_dense": Metric("gflops_dense", "dense-equivalent GFLOP/s (2 M K N / time)", number, "max", _TIME),
    "roofline": Metric("roofline_fraction", "share of the roofline: ceiling / time", number, "max", _TIME),
    "prepare": Metric("prepare_s", "time to pack the weights", duration, "min"),
    "bytes": Metric("packed_bytes", "packed weights, indices included", size, "min"),
    "kept_l1": Metric("kept_l1", "share of the weights' L1 norm that pruning kept", number, "max"),
    "kept_l2": Metric("kept_l2", "share of the weights' squared L2 norm that pruning kept", number, "max"),
    "error": Metric("max_rel_error", "largest |y - reference| / sum |w||x|", error, "min", merge=max, merged="largest"),
}


def find(name: str) -> Metric:
    """Return the metric of that name.

    Raises
    ------
    InputError
        If there is none.
    """
    if name not in METRICS:
        raise InputError(f"--metric '{name}' is not known; known: {', '.join(METRICS)}")
    return METRICS[name]
