"""Tables in which a cell stands for many problems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from sparsebench.report import notes
from sparsebench.report.aggregate import merge
from sparsebench.report.cells import (
    WORDS,
    Cell,
    Row,
    Table,
    machine_labels,
    mark_best,
    shown_kernels,
    split,
    status_cell,
)
from sparsebench.report.frame import Record, pattern_label
from sparsebench.report.kernel_kinds import in_float32
from sparsebench.report.metrics import Metric


def merged_table(records: Sequence[Record], metric: Metric, by: Sequence[str]) -> Table:
    """Make a table with a row per combination of the columns `by`, a column per kernel."""
    first = records[0]
    kernels = shown_kernels(records)
    rows = []
    for part in split(records, lambda record: tuple(record[name] for name in by)):
        cells, count = _merged(part, kernels, metric)
        labels = ("" if part[0][name] is None else str(part[0][name]) for name in by)
        rows.append(Row((*labels, str(count)), cells))
    run = None if "run" in by else first.get("run")
    return Table(
        title=", ".join(filter(None, [run, f"by {', '.join(by)}"])),
        subtitle=_subtitle(metric, first),
        labels=(*by, "problems"),
        columns=tuple(kernels),
        rows=tuple(rows),
        notes=notes.troubles(records, {r["problem"]: r["problem"] for r in records}),
    )


def summary(records: Sequence[Record], metric: Metric) -> Table:
    """Make a table with a row per kernel, a column per pattern; further columns count how its cases ended."""
    first = records[0]
    kernels = shown_kernels(records)
    parts = split(records, lambda record: (pattern_label(record),))
    columns = {pattern_label(part[0]): _merged(part, kernels, metric)[0] for part in parts}
    ended = {kernel: Counter(r["status"] for r in records if r["kernel"] == kernel) for kernel in kernels}
    statuses = ["ok", *(s for s in WORDS if s != "unsupported" and any(c[s] for c in ended.values()))]
    rows = []
    for index, kernel in enumerate(kernels):
        counts = (
            Cell(str(ended[kernel][s]), kind="trouble" if s != "ok" and ended[kernel][s] else "value") for s in statuses
        )
        rows.append(Row((kernel,), (*(cells[index] for cells in columns.values()), *counts)))
    title = [first.get("run"), first["suite"], "summary", *machine_labels(first)]
    return Table(
        title=", ".join(str(part) for part in title if part),
        subtitle=f"{_subtitle(metric, first)}; then number of cases by status",
        labels=("kernel",),
        columns=(*columns, *statuses),
        rows=tuple(rows),
    )


def _subtitle(metric: Metric, record: Record) -> str:
    return f"{metric.title.format(baseline=record['baseline'])}, {metric.merged}"


def _merged(records: Sequence[Record], kernels: Sequence[str], metric: Metric) -> tuple[tuple[Cell, ...], int]:
    """Return a cell per kernel, the best marked, and of how many problems the records are."""
    merged, total = merge(records, metric)
    status = {r["kernel"]: r["status"] for r in records if r["status"] != "ok"}
    cells: list[Cell] = []
    for kernel in kernels:
        if kernel in merged:
            value, count = merged[kernel]
            cells.append(Cell(metric.show(value), "" if count == total else f"{count}/{total}"))
        else:
            cells.append(status_cell(status[kernel]) if kernel in status else Cell("", kind="absent"))
    values = [merged[kernel][0] if kernel in merged and in_float32(kernel) else None for kernel in kernels]
    marked = mark_best(cells, values, metric.better)
    # A mean of fewer problems than its neighbours' is not comparable with them: where it leads, nothing is the best.
    return tuple(replace(cell, best=cell.best and not cell.detail) for cell in marked), total
