"""What tables are made of, before they are rendered as anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from sparsebench.kernel import OURS
from sparsebench.report.frame import Record

if TYPE_CHECKING:
    from sparsebench.report.metrics import Metric

# A case without a value, in as few letters as a narrow column has; `notes.LEGEND` says what they mean.
WORDS = {
    "wrong": "wrong",
    "mistrusted": "suspect",
    "failed": "failed",
    "timeout": "timeout",
    "unavailable": "n/a",
    "unsupported": "-",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One entry of a table.

    Attributes
    ----------
    detail
        The interval, or how many cases a mean is of; secondary to `text`.
    kind
        "value", "absolute" (a time where others are ratios), "trouble" (failed, wrong ...), or "absent".
    best
        Whether it is the best of its row (in a summary: of its column).
    """

    text: str
    detail: str = ""
    kind: Literal["value", "absolute", "trouble", "absent"] = "value"
    best: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Labels that say which problem a row is, and a cell per column."""

    labels: tuple[str, ...]
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table and what is said about it.

    Attributes
    ----------
    labels
        Heads of the label columns.
    columns
        Heads of the cell columns.
    pinned
        How many first columns are repeated where a table is split for lack of width.
    """

    title: str
    subtitle: str
    labels: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    pinned: int = 0
    notes: tuple[str, ...] = ()


def status_cell(status: str) -> Cell:
    """Return the cell of a case that has no value because of its status."""
    return Cell(WORDS[status], kind="absent" if status in ("unavailable", "unsupported") else "trouble")


def metric_cell(case: Record | None, metric: Metric) -> Cell:
    """Return a case's value of the metric, or why it has none."""
    if case is None:
        return Cell("", kind="absent")
    if case["status"] != "ok":
        return status_cell(case["status"])
    value = case[metric.column]
    return Cell("", kind="absent") if value is None else Cell(metric.show(value), metric.detail(case))


def mark_best(cells: Sequence[Cell], values: Sequence[float | None], better: Literal["max", "min"]) -> tuple[Cell, ...]:
    """Mark the cells whose value is the best, unless all values are equal."""
    known = [value for value in values if value is not None]
    if not known or min(known) == max(known):
        return tuple(cells)
    best = max(known) if better == "max" else min(known)
    return tuple(replace(cell, best=value == best) for cell, value in zip(cells, values, strict=True))


def split(records: Iterable[Record], key: Callable[[Record], tuple[object, ...]]) -> list[list[Record]]:
    """Part records by a key, parts and records in order of appearance."""
    parts: dict[tuple[object, ...], list[Record]] = {}
    for record in records:
        parts.setdefault(key(record), []).append(record)
    return list(parts.values())


def shown_kernels(records: Sequence[Record]) -> list[str]:
    """Return the baseline, then our kernels, then rivals, of those that ran or should have."""
    names = dict.fromkeys(r["kernel"] for r in records if r["status"] not in ("unavailable", "unsupported"))
    baseline = records[0]["baseline"]
    ours = {r["kernel"] for r in records if r["provider"] == OURS}
    return sorted(names, key=lambda name: (name != baseline, name not in ours))


def machine_labels(record: Record) -> list[str]:
    """Return threads and instruction-set level as a title says them."""
    threads = record["threads"]
    return [f"{threads} thread{'s' if threads > 1 else ''}", record["level"] or ""]


def shortened(name: str, width: int) -> str:
    """Return a name of at most `width` characters, the middle left out: both ends tell names apart."""
    if len(name) <= width:
        return name
    head = (width - 1) // 2
    return f"{name[:head]}…{name[len(name) - (width - 1 - head) :]}"
