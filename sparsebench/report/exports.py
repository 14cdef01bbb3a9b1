"""What other trackers' formats have in common: one value of each measured case, under a name that stays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from sparsebench.bench.stats import Interval
from sparsebench.errors import InputError
from sparsebench.report.frame import Record, to_records
from sparsebench.report.metrics import find

if TYPE_CHECKING:
    import pandas as pd

_NS = 1e9
# Unit of a metric, and how many of it one of the column's are; times are in nanoseconds, as Bencher's latency is.
_UNITS = {
    "speedup": ("x", 1.0),
    "median": ("ns", _NS),
    "per_column": ("ns", _NS),
    "items_per_s": ("1/s", 1.0),
    "gflops_useful": ("GFLOP/s", 1.0),
    "gflops_dense": ("GFLOP/s", 1.0),
    "prepare": ("ns", _NS),
    "bytes": ("B", 1.0),
}


class Point(NamedTuple):
    """A metric of one case, in `unit`, with the limits of its interval where it has any."""

    name: str
    unit: str
    value: Interval
    record: Record


def points(frame: pd.DataFrame, metric: str, by: Sequence[str], form: str) -> Iterator[Point]:
    """Yield the measured cases of one run; of speed-ups not the baseline's own, which is 1.

    Raises
    ------
    InputError
        If the frame is of several runs, cases shall be merged, or nothing has the metric.
    """
    quantity = find(metric)
    if by:
        raise InputError(f"--by is not for --format {form}, in which every case is a series of its own")
    if "run" in frame:
        raise InputError(f"--format {form} is of one run: name one")
    unit, scale = _UNITS.get(metric, ("", 1.0))
    found = [
        record
        for record in to_records(frame)
        if record["status"] == "ok" and record[quantity.column] is not None
        if metric != "speedup" or record["kernel"] != record["baseline"]
    ]
    if not found:
        raise InputError(f"no case has a value of '{quantity.column}'")
    for record in found:
        value = quantity.of(record)
        scaled = Interval(value.low and scale * value.low, scale * value.estimate, value.high and scale * value.high)
        yield Point(_name(record), unit, scaled, record)


def _name(record: Record) -> str:
    return f"{record['suite']}/{record['kernel']} {record['problem']} T={record['threads']} {record['level']}"
