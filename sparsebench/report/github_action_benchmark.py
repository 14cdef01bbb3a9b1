"""Results as github-action-benchmark reads them: ``customBiggerIsBetter`` or ``customSmallerIsBetter``.

Format: https://github.com/benchmark-action/github-action-benchmark, an array of objects with name, unit, value, and
range and extra where there is something to say.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from sparsebench.report.exports import Point, points

if TYPE_CHECKING:
    import pandas as pd


def write(frame: pd.DataFrame, stream: TextIO, *, metric: str = "speedup", by: Sequence[str] = ()) -> None:
    """Write an entry for each measured case of one run; which of the two tools reads it, the metric says.

    Raises
    ------
    InputError
        For the reasons of `sparsebench.report.exports.points`.
    """
    found = points(frame, metric, by, "github-action-benchmark")
    json.dump([_entry(point) for point in found], stream, indent=1, allow_nan=False)
    stream.write("\n")


def _entry(point: Point) -> dict[str, str | float]:
    entry: dict[str, str | float] = {"name": point.name, "unit": point.unit, "value": point.value.estimate}
    low, high = point.value.low, point.value.high
    if low is not None and high is not None:
        entry["range"] = f"{low:.4g} to {high:.4g}"
    record = point.record
    return entry | {"extra": f"baseline: {record['baseline']}\nrounds: {record['rounds']}\ndetail: {record['detail']}"}
