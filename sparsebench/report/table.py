"""Results as tables for people: pure functions from a frame to text cells, whatever they are rendered as."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from sparsebench.report import notes
from sparsebench.report.aggregate import check_by, merge
from sparsebench.report.frame import Record, to_records
from sparsebench.report.metrics import Metric, duration, find, spread

if TYPE_CHECKING:
    import pandas as pd

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


def make_tables(frame: pd.DataFrame, metric: str = "speedup", by: Sequence[str] = ()) -> list[Table]:
    """Turn results into tables.

    Without `by`: a table per suite, pattern and thread count, rows problems, columns kernels; then summaries. With
    it: a row per combination of these columns, its cells merged over the problems that share them.

    Raises
    ------
    InputError
        If the metric or a column is not known.
    """
    quantity = find(metric)
    records = to_records(frame)
    if by:
        check_by(by, frame.columns)
        tables = [_merged_table(part, quantity, by) for part in _split(records, _comparable(by))]
    else:
        tables = [_problem_table(part, quantity) for part in _split(records, _setting)]
        tables += [_summary(part, quantity) for part in _split(records, _machine_setting)]
    closing = (*notes.legend(records, by), *notes.general(records))
    return [*tables[:-1], replace(tables[-1], notes=(*tables[-1].notes, *closing))]


def pattern_label(record: Record) -> str:
    """Return the pattern with its parameters, which only the problem string has: ``complementary/8``."""
    match = re.match(r"[^:]+:[^:]+:([^+]+)\+", record["problem"])
    return match[1] if match else str(record["pattern"])


def _setting(record: Record) -> tuple[object, ...]:
    return (*_machine_setting(record), record["op"], pattern_label(record))


def _machine_setting(record: Record) -> tuple[object, ...]:
    return (*(record.get(name) for name in ("run", "suite", "threads", "level")), record["baseline"])


def _comparable(by: Sequence[str]) -> Callable[[Record], tuple[object, ...]]:
    """Ratios over different baselines have no common mean; runs are merged only where the user says so."""
    return lambda record: (record["baseline"], None if "run" in by else record.get("run"))


def _split(records: Iterable[Record], key: Callable[[Record], tuple[object, ...]]) -> list[list[Record]]:
    parts: dict[tuple[object, ...], list[Record]] = {}
    for record in records:
        parts.setdefault(key(record), []).append(record)
    return list(parts.values())


def _shown_kernels(records: Sequence[Record]) -> list[str]:
    """The baseline, then ours, then rivals, of those that ran or should have."""
    names = dict.fromkeys(r["kernel"] for r in records if r["status"] not in ("unavailable", "unsupported"))
    baseline = records[0]["baseline"]
    ours = {r["kernel"] for r in records if r["provider"] == "sparsebench"}
    return sorted(names, key=lambda name: (name != baseline, name not in ours))


def _subtitle(metric: Metric, baseline: str, merged: bool = False) -> str:
    title = metric.title.format(baseline=baseline)
    return f"{title}, {metric.merged}" if merged else title


def _problem_table(records: Sequence[Record], metric: Metric) -> Table:
    first = records[0]
    facets = {r["problem"]: _facets(r) for r in records}
    varying = [name for name in next(iter(facets.values())) if len({f[name] for f in facets.values()}) > 1]
    sources = list(dict.fromkeys(f["weights"] for f in facets.values()))
    heads = ["M x K", "N", *(name for name in varying if name not in ("M x K", "N"))]
    constant = [text for name, text in facets[first["problem"]].items() if name not in heads]
    kernels = _shown_kernels(records)
    cases = {(r["problem"], r["kernel"]): r for r in records}
    rows, places = [], {}
    for problem, facet in facets.items():
        labels = [f"W{sources.index(facet[name]) + 1}" if name == "weights" else facet[name] for name in heads]
        places[problem] = " ".join([labels[0], f"N={labels[1]}", *labels[2:]])
        rows.append(Row(tuple(labels), _cells([cases.get((problem, kernel)) for kernel in kernels], metric)))
    title = [first.get("run"), first["suite"], f"{first['op']} {pattern_label(first)}", *constant, *_where(first)]
    subtitle = _subtitle(metric, first["baseline"])
    if metric.column == "speedup":
        subtitle += ", whose own column is its time per call"
    return Table(
        title=", ".join(str(part) for part in title if part),
        subtitle=subtitle,
        labels=tuple("W" if head == "weights" else head for head in heads),
        columns=tuple(kernels),
        rows=tuple(rows),
        pinned=int(kernels[:1] == [first["baseline"]]),
        notes=(
            *(notes.sources(sources) if "weights" in heads else ()),
            *notes.troubles(records, places),
            *notes.unsupported(records),
        ),
    )


def _facets(record: Record) -> dict[str, str]:
    """What tells a problem from others of its table; "" where a facet has its default."""
    seed = re.search(r";seed=(\d+)", record["problem"])
    return {
        "M x K": f"{record['M']}x{record['K']}",
        "N": str(record["N"]),
        "sparsity": f"{100 * (1 - record['density']):.4g}% sparse",
        "X": "" if record["act_density"] == 1 else f"X {100 * record['act_density']:.3g}% dense",
        "cache": "" if record["cache"] == "warm" else f"{record['cache']} cache",
        "seed": f"seed {seed[1]}" if seed else "",
        "weights": "" if record["weights"] == "random" else record["weights"],
    }


def _where(record: Record) -> list[str]:
    threads = record["threads"]
    return [f"{threads} thread{'s' if threads > 1 else ''}", record["level"] or ""]


def _cells(cases: Sequence[Record | None], metric: Metric) -> tuple[Cell, ...]:
    """Cells of one problem, one per kernel."""
    values = [None if r is None or r["status"] != "ok" else r[metric.column] for r in cases]
    cells = [_cell(r, value, metric) for r, value in zip(cases, values, strict=True)]
    if all(value is None for value in values) and metric.column == "speedup":
        # Without a baseline there is no ratio: times are compared.
        values = [r["median_s"] if r is not None and r["status"] == "ok" else None for r in cases]
        return _mark(cells, values, "min")
    return _mark(cells, values, metric.better)


def _mark(cells: list[Cell], values: Sequence[float | None], better: Literal["max", "min"]) -> tuple[Cell, ...]:
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return tuple(cells)
    best = max(known) if better == "max" else min(known)
    index = values.index(best)
    return tuple(replace(cell, best=True) if i == index else cell for i, cell in enumerate(cells))


def _cell(record: Record | None, value: float | None, metric: Metric) -> Cell:
    if record is None:
        return Cell("", kind="absent")
    status = record["status"]
    if status != "ok":
        return Cell(WORDS[status], kind="absent" if status in ("unavailable", "unsupported") else "trouble")
    if metric.column == "speedup" and (value is None or record["kernel"] == record["baseline"]):
        time = ("median_s", "ci_low_s", "ci_high_s")
        return Cell(duration(record["median_s"]), spread(record, *time), kind="absolute")
    if value is None:
        return Cell("", kind="absent")
    return Cell(metric.show(value), metric.detail(record))


def _merged_table(records: Sequence[Record], metric: Metric, by: Sequence[str]) -> Table:
    first = records[0]
    kernels = _shown_kernels(records)
    rows = []
    for part in _split(records, lambda record: tuple(record[name] for name in by)):
        cells, count = _merged_cells(part, kernels, metric)
        labels = ("" if part[0][name] is None else str(part[0][name]) for name in by)
        rows.append(Row((*labels, str(count)), cells))
    run = None if "run" in by else first.get("run")
    return Table(
        title=", ".join(filter(None, [run, f"by {', '.join(by)}"])),
        subtitle=_subtitle(metric, first["baseline"], merged=True),
        labels=(*by, "problems"),
        columns=tuple(kernels),
        rows=tuple(rows),
        notes=notes.troubles(records, {r["problem"]: r["problem"] for r in records}),
    )


def _merged_cells(records: Sequence[Record], kernels: Sequence[str], metric: Metric) -> tuple[tuple[Cell, ...], int]:
    """Cells of the merged values per kernel, and how many problems they are of."""
    merged, total = merge(records, metric)
    cells, values = [], []
    for kernel in kernels:
        value, count = merged.get(kernel, (None, 0))
        # A mean of fewer problems than its neighbours' is not comparable with them: it says so, and is no best.
        values.append(value if count == total else None)
        detail = "" if count == total else f"{count}/{total}"
        cells.append(Cell("-", kind="absent") if value is None else Cell(metric.show(value), detail))
    return _mark(cells, values, metric.better), total


def _summary(records: Sequence[Record], metric: Metric) -> Table:
    """Rows kernels, columns patterns: merged values, then how the cases ended."""
    first = records[0]
    kernels = _shown_kernels(records)
    columns = {pattern_label(part[0]): _merged_cells(part, kernels, metric)[0] for part in _split(records, _pattern)}
    ended = {kernel: Counter(r["status"] for r in records if r["kernel"] == kernel) for kernel in kernels}
    statuses = ["ok", *(s for s in WORDS if s != "unsupported" and any(c[s] for c in ended.values()))]
    rows = []
    for index, kernel in enumerate(kernels):
        counts = [
            Cell(str(ended[kernel][s]), kind="trouble" if s != "ok" and ended[kernel][s] else "value") for s in statuses
        ]
        rows.append(Row((kernel,), (*(cells[index] for cells in columns.values()), *counts)))
    title = [first.get("run"), first["suite"], "summary", *_where(first)]
    return Table(
        title=", ".join(str(part) for part in title if part),
        subtitle=f"{_subtitle(metric, first['baseline'], merged=True)}; then number of cases by status",
        labels=("kernel",),
        columns=(*columns, *statuses),
        rows=tuple(rows),
    )


def _pattern(record: Record) -> tuple[object, ...]:
    return (pattern_label(record),)
