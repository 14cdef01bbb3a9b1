"""Results in Bencher Metric Format, which ``bencher run --adapter json`` reads.

Format: https://bencher.dev/docs/reference/bencher-metric-format, an object of benchmarks, each an object of measures,
each with value, and lower_value and upper_value where there is an interval.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from sparsebench.bench.stats import Interval
from sparsebench.report.exports import points

if TYPE_CHECKING:
    import pandas as pd

# Bencher has a measure of nanoseconds already; others it makes by their names.
_MEASURES = {"median": "latency"}


def write(frame: pd.DataFrame, stream: TextIO, *, metric: str = "speedup", by: Sequence[str] = ()) -> None:
    """Write a benchmark for each measured case of one run, with one measure: the metric.

    Raises
    ------
    InputError
        For the reasons of `sparsebench.report.exports.points`.
    """
    measure = _MEASURES.get(metric, metric.replace("_", "-"))
    found = {point.name: {measure: _metric(point.value)} for point in points(frame, metric, by, "bencher")}
    json.dump(found, stream, indent=1, allow_nan=False)
    stream.write("\n")


def _metric(value: Interval) -> dict[str, float]:
    if value.low is None or value.high is None:
        return {"value": value.estimate}
    return {"value": value.estimate, "lower_value": value.low, "upper_value": value.high}
