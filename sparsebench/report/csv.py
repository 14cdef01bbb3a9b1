"""Results as CSV: every case, or merged values in long form."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from sparsebench.report.aggregate import check_by, merge
from sparsebench.report.frame import to_records
from sparsebench.report.metrics import find

if TYPE_CHECKING:
    import pandas as pd


def write(frame: pd.DataFrame, stream: TextIO, *, metric: str = "speedup", by: Sequence[str] = ()) -> None:
    """Write the frame's columns, a line per case; with `by`, a line per combination, baseline and kernel instead.

    The latter has the columns of `by`, baseline, kernel, problems, and the metric's.

    Raises
    ------
    InputError
        If the metric or a column is not known.
    """
    quantity = find(metric)
    if not by:
        frame.to_csv(stream, index=False, lineterminator="\n")
        return
    check_by(by, frame.columns)
    keys = list(dict.fromkeys([*by, "baseline"]))
    groups: dict[tuple[object, ...], list[dict[str, object]]] = {}
    for record in to_records(frame):
        groups.setdefault(tuple(record[key] for key in keys), []).append(record)
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*keys, "kernel", "problems", quantity.column])
    for values, records in groups.items():
        merged, _ = merge(records, quantity)
        writer.writerows([*values, kernel, count, value] for kernel, (value, count) in merged.items())
