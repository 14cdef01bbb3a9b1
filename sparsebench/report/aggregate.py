"""One value for many problems."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sparsebench.errors import InputError
from sparsebench.report.frame import CASE_COLUMNS, Record
from sparsebench.report.metrics import Metric


def check_by(by: Sequence[str], columns: Iterable[str]) -> None:
    """Refuse columns that cannot be grouped by.

    Raises
    ------
    InputError
        Naming the columns that can.
    """
    known = [name for name in ("run", *CASE_COLUMNS) if name in columns]
    for name in by:
        if name == "kernel":
            raise InputError("--by kernel: kernels are the columns of every table already")
        if name not in known:
            raise InputError(f"--by '{name}' is no column to group by; known: {', '.join(known)}")


def merge(records: Sequence[Record], metric: Metric) -> tuple[dict[str, tuple[float, int]], int]:
    """Merge a metric over problems: per kernel its value and the number of problems it is of; and the most of these.

    Only cases with status ok have a value. A problem at two thread counts, or in two suites, counts twice.
    """
    values: dict[str, list[float]] = {}
    for record in records:
        if record["status"] == "ok" and record[metric.column] is not None:
            values.setdefault(record["kernel"], []).append(record[metric.column])
    merged = {kernel: (metric.merge(found), len(found)) for kernel, found in values.items()}
    problems = {tuple(r.get(name) for name in ("run", "suite", "problem", "threads", "level")) for r in records}
    return merged, len(problems)
