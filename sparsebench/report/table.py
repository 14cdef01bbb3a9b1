"""What a report says, as plain data: tables of cells, and notes. Renderers only lay it out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from sparsebench.bench.stats import geomean
from sparsebench.errors import InputError

Mark = Literal["", "best", "bad", "baseline", "none"]
Row = dict[str, Any]

# What stands in a cell that has no value.
_WORDS = {
    "failed": "failed",
    "wrong": "WRONG",
    "timeout": "timeout",
    "unavailable": "n/a",
    "unsupported": "-",
}


@dataclass(frozen=True, slots=True)
class Metric:
    """A column that can be shown: what it is called, whether more is better, and how a value reads."""

    column: str
    says: str
    more_is_better: bool
    text: Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Cell:
    """One value: its text, its uncertainty, and how it stands out."""

    text: str
    spread: str = ""
    mark: Mark = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of labels and cells; a cell a kernel."""

    title: str
    headers: tuple[str, ...]
    kernels: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], tuple[Cell, ...]], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """All of a report."""

    tables: tuple[Table, ...]
    legend: str
    notes: tuple[str, ...]


def number(value: float) -> str:
    """Three digits that count: 0.123, 1.23, 12.3, 123, 1230."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(digits, 4)}f}"


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    for unit, scale in (("ns", 1e9), ("us", 1e6), ("ms", 1e3)):
        if seconds * scale < 999.5:
            return f"{number(seconds * scale)}{unit}"
    return f"{number(seconds)}s"


def size(nbytes: float) -> str:
    """Bytes in KiB or MiB."""
    return f"{number(nbytes / 2**10)}K" if nbytes < 2**20 else f"{number(nbytes / 2**20)}M"


METRICS = {
    "speedup": Metric("speedup", "speed-up over {baseline}, whose own column is its time", True, number),
    "median": Metric("median_s", "median time of a call", False, duration),
    "gflops_useful": Metric("gflops_useful", "GFLOP/s over the weights that the pattern leaves", True, number),
    "gflops_dense": Metric("gflops_dense", "GFLOP/s that a dense kernel would need", True, number),
    "prepare": Metric("prepare_s", "time to pack the weights", False, duration),
    "bytes": Metric("packed_bytes", "bytes of the packed weights", False, size),
    "error": Metric("max_rel_error", "largest error over the sum of magnitudes", False, lambda v: f"{v:.0e}"),
}


def make_tables(frame: pd.DataFrame, metric: str = "speedup", by: Sequence[str] | None = None) -> Report:
    """Lay out a run's results (the columns of ``results.csv``).

    One table for each suite, thread count, level and pattern, its rows problems and its columns kernels. With `by`, one table
    a suite, its rows the distinct values of these columns, its cells geometric means over what they share.

    Raises
    ------
    InputError
        If the metric or a column is not known.
    """
    if metric not in METRICS:
        raise InputError(f"metric '{metric}' is not known; known: {', '.join(METRICS)}")
    unknown = [name for name in by or () if name not in frame.columns]
    if unknown:
        raise InputError(f"column '{unknown[0]}' is not known; known: {', '.join(frame.columns)}")
    rows: list[Row] = frame.astype(object).where(frame.notna(), None).to_dict("records")
    shown = METRICS[metric]
    tables = _aggregated(rows, shown, by) if by else _plain(rows, shown)
    if not by and metric == "speedup" and rows:
        tables.append(_summary(rows, shown))
    baselines = sorted({row["baseline"] for row in rows if row["kernel"] == row["baseline"]})
    legend = f"{shown.says.format(baseline=' / '.join(baselines) or 'the baseline')}; ± half the 95 % interval"
    return Report(tuple(tables), legend, tuple(_notes(rows)))


def _pattern(row: Row) -> str:
    parts = [row["pattern"], *(str(row[key]) for key in ("lanes", "block") if row[key] is not None)]
    text = str(row["problem"]).split(":")[3].partition("+")[0]
    return text if text.startswith(row["pattern"]) else "/".join(parts)


def _title(row: Row) -> tuple[str, ...]:
    density = f"density {row['density']:.4g}"
    threads = f"{row['threads']} thread{'s' if row['threads'] != 1 else ''}"
    cold = ("cold weights",) if row["cache"] == "cold" else ()
    run = (str(row["run"]),) if row.get("run") else ()
    return (*run, str(row["suite"]), _pattern(row), density, threads, str(row["level"]), *cold)


def _kernels(rows: Sequence[Row]) -> tuple[str, ...]:
    """Kernels with anything to show, the baseline first."""
    found: dict[str, bool] = {}
    for row in rows:
        shows = row["status"] != "unsupported"
        found[row["kernel"]] = found.get(row["kernel"], False) or shows
    names = [name for name, shows in found.items() if shows]
    baselines = {row["baseline"] for row in rows}
    return tuple(sorted(names, key=lambda name: name not in baselines))


def _source(row: Row) -> str:
    """A short name of the matrix, for weights that are not random."""
    if row["weights"] == "random":
        return ""
    address = str(row["weights"])
    name = address.rpartition("!")[2] if "!" in address else address.rpartition("/")[2]
    name = name.removesuffix(".smtx").removesuffix(".npy").removesuffix(".mtx")
    return name if len(name) <= 24 else f"{name[:10]}..{name[-12:]}"


def _plain(rows: list[Row], shown: Metric) -> list[Table]:
    grouped: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        grouped.setdefault(_title(row), []).append(row)
    tables = []
    for title, members in grouped.items():
        kernels = _kernels(members)
        problems: dict[str, dict[str, Row]] = {}
        for row in members:
            problems.setdefault(row["problem"], {})[row["kernel"]] = row
        named = any(_source(row) for row in members)
        lines = []
        for by_kernel in problems.values():
            first = next(iter(by_kernel.values()))
            labels = (f"{first['M']}x{first['K']}", str(first["N"]), *([_source(first)] if named else []))
            lines.append((labels, _marked([_cell(by_kernel.get(name), shown) for name in kernels], by_kernel, kernels, shown)))
        headers = ("MxK", "N", *(["weights"] if named else []))
        tables.append(Table(", ".join(title), headers, kernels, tuple(lines)))
    return tables


def _cell(row: Row | None, shown: Metric) -> Cell:
    if row is None:
        return Cell("", mark="none")
    if row["status"] in _WORDS:
        bad = row["status"] in ("failed", "wrong", "timeout")
        return Cell(_WORDS[row["status"]], mark="bad" if bad else "none")
    doubt = "?" if row["status"] == "mistrusted" else ""
    if shown.column == "speedup" and row["kernel"] == row["baseline"]:
        spread = _spread(row["median_s"], row["ci_low_s"], row["ci_high_s"])
        return Cell(duration(row["median_s"]) + doubt, spread, "baseline")
    value = row[shown.column]
    if value is None:
        return Cell("-", mark="none")
    if shown.column == "speedup":
        return Cell(shown.text(value) + doubt, _spread(value, row["speedup_ci_low"], row["speedup_ci_high"]))
    if shown.column == "median_s":
        return Cell(shown.text(value) + doubt, _spread(value, row["ci_low_s"], row["ci_high_s"]))
    return Cell(shown.text(value) + doubt)


def _spread(value: float, low: float | None, high: float | None) -> str:
    if low is None or high is None or not value:
        return ""
    share = 50 * (high - low) / value
    return f"±{share:.0f}%" if share >= 0.95 else f"±{share:.1f}%"


def _marked(cells: list[Cell], rows: dict[str, Row], kernels: Sequence[str], shown: Metric) -> tuple[Cell, ...]:
    """Mark the best of a row; the baseline itself counts as a speed-up of 1."""
    values: dict[int, float] = {}
    for index, (cell, name) in enumerate(zip(cells, kernels, strict=True)):
        row = rows.get(name)
        if row is None or row["status"] not in ("ok", "mistrusted"):
            continue
        value = 1.0 if cell.mark == "baseline" else row[shown.column]
        if value is not None:
            values[index] = value
    if len(values) > 1:
        best = (max if shown.more_is_better else min)(values, key=lambda index: values[index])
        cells[best] = Cell(cells[best].text, cells[best].spread, "best")
    return tuple(cells)


def _mean_cells(rows: Sequence[Row], kernels: Sequence[str], shown: Metric) -> tuple[Cell, ...]:
    cells = []
    values: list[float | None] = []
    for name in kernels:
        mine = [row for row in rows if row["kernel"] == name and row["status"] != "unsupported"]
        known = [row[shown.column] for row in mine if row["status"] == "ok" and row[shown.column]]
        mean = geomean(known) if known else None
        values.append(mean)
        if mean is None:
            cells.append(Cell(_WORDS.get(mine[0]["status"], "-") if mine else "", mark="none"))
        else:
            missing = len(mine) - len(known)
            cells.append(Cell(shown.text(mean), f"({len(known)} of {len(mine)})" if missing else ""))
    known_values = {i: v for i, v in enumerate(values) if v is not None}
    if len(known_values) > 1:
        best = (max if shown.more_is_better else min)(known_values, key=lambda i: known_values[i])
        cells[best] = Cell(cells[best].text, cells[best].spread, "best")
    return tuple(cells)


def _aggregated(rows: list[Row], shown: Metric, by: Sequence[str]) -> list[Table]:
    suites: dict[str, list[Row]] = {}
    for row in rows:
        suites.setdefault(str(row["suite"]), []).append(row)
    tables = []
    for suite, members in suites.items():
        kernels = _kernels(members)
        grouped: dict[tuple[str, ...], list[Row]] = {}
        for row in members:
            labels = tuple("-" if row[name] is None else f"{row[name]:g}" if isinstance(row[name], float) else str(row[name]) for name in by)
            grouped.setdefault(labels, []).append(row)
        lines = tuple((labels, _mean_cells(group, kernels, shown)) for labels, group in grouped.items())
        tables.append(Table(f"{suite}: geometric means of the {shown.column}", tuple(by), kernels, lines))
    return tables


def _summary(rows: list[Row], shown: Metric) -> Table:
    kernels = _kernels(rows)
    grouped: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        grouped.setdefault((_pattern(row), str(row["threads"])), []).append(row)
    lines = tuple((labels, _mean_cells(group, kernels, shown)) for labels, group in grouped.items())
    return Table("geometric mean of the speed-ups", ("pattern", "threads"), kernels, lines)


def _notes(rows: Sequence[Row]) -> list[str]:
    """What a table's words stand for: why cases failed, and how to get what is unavailable. Each once."""
    notes: dict[str, None] = {}
    for row in rows:
        if row["status"] == "unavailable":
            notes[f"{row['kernel']} n/a: {row['error']}"] = None
        elif row["status"] in ("failed", "wrong", "timeout", "mistrusted"):
            notes[f"{row['kernel']} {row['status']} on {row['problem']} T={row['threads']}: {row['error']}"] = None
    return list(notes)
