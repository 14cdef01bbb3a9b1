"""Comparisons as tables for people, for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TextIO

from sparsebench.bench.stats import median
from sparsebench.errors import InputError
from sparsebench.report import tables_renderer
from sparsebench.report.cells import Cell, Row, Table
from sparsebench.report.compare import Change, Comparison

FORMATS = ("console", "markdown")


def write(comparisons: Sequence[Comparison], stream: TextIO, form: str, *, explain: bool) -> None:
    """Write comparisons of one base with several heads; `explain` lists every case with its reason.

    Raises
    ------
    InputError
        If the format is not known.
    """
    if form not in FORMATS:
        raise InputError(f"--format '{form}' is not known; known: {', '.join(FORMATS)}")
    tables = [_kernels(comparisons), *(_cases(comparison, explain) for comparison in comparisons)]
    tables_renderer(form)(tables, stream)


def _change(change: Change | None) -> Cell:
    if change is None:
        return Cell("", kind="absent")
    cell = Cell(f"{100 * (change.factor.estimate - 1):+.1f}% {change.verdict}", _interval(change))
    return replace(cell, kind="trouble") if change.verdict == "slower" else cell


def _interval(change: Change) -> str:
    low, high = change.factor.low, change.factor.high
    return "" if low is None or high is None else f"{100 * (low - 1):+.1f}..{100 * (high - 1):+.1f}%"


def _kernels(comparisons: Sequence[Comparison]) -> Table:
    """Make the table of kernels: a row each, a column for each head."""
    first = comparisons[0]
    keys = dict.fromkeys((change.kernel, change.relative_to) for c in comparisons for change in c.kernels)
    rows = []
    for kernel, relative in keys:
        found = [
            next((change for change in c.kernels if (change.kernel, change.relative_to) == (kernel, relative)), None)
            for c in comparisons
        ]
        count = next(change.place for change in found if change is not None)
        rows.append(Row((kernel, relative, count), tuple(map(_change, found))))
    notes = [note for comparison in comparisons for note in _notes(comparison)]
    return Table(
        title=f"{first.base} and {', '.join(comparison.head for comparison in comparisons)}",
        subtitle="change of the time of each kernel over its cases, with its 95 % interval; + is slower",
        labels=("kernel", "relative to", "over"),
        columns=tuple(comparison.head for comparison in comparisons),
        rows=tuple(rows),
        notes=tuple(notes),
    )


def _notes(comparison: Comparison) -> list[str]:
    notes = [f"{result.status}: {result.kernel} at {result.problem}: {result.error}" for result in comparison.broken]
    moved = ", ".join(f"{name} {100 * (factor - 1):+.1f}%" for name, factor in comparison.moved.items())
    if moved:
        notes.append(f"{comparison.head}: what times are relative to has itself moved: {moved}")
    if floors := [change.floor for change in comparison.cases if change.floor is not None]:
        share = f"{len(floors)} of {len(comparison.cases)} cases"
        notes.append(f"noise floors of {share}: {median(floors):.0%} in the middle, {max(floors):.0%} at most")
    if disturbed := sum(bool(change.disturbed) for change in comparison.cases):
        share = f"{disturbed} of {len(comparison.cases)} cases"
        notes.append(f"{share} left out: one of the runs was disturbed there (--explain says by what)")
    for count, name in ((comparison.only_base, comparison.base), (comparison.only_head, comparison.head)):
        if count:
            notes.append(f"{count} case{'s' if count > 1 else ''} only in {name}")
    return notes


def _cases(comparison: Comparison, explain: bool) -> Table:
    """List cases as lines: problems are too long for a table's column."""
    chosen = [c for c in comparison.cases if explain or c.verdict in ("slower", "faster")]
    lines = []
    for change in sorted(chosen, key=lambda change: -change.factor.estimate):
        why = f": {change.reason}" if explain else ""
        cell = _change(change)
        lines.append(f"{cell.text} ({cell.detail or 'no interval'}) {change.kernel} at {change.place}{why}")
    counts = dict.fromkeys(("slower", "faster", "same", "ambiguous", "unknown"), 0)
    for change in comparison.cases:
        counts[change.verdict] += 1
    return Table(
        title=f"{comparison.head}, case by case",
        subtitle=", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count),
        labels=(),
        columns=(),
        rows=(),
        notes=tuple(lines),
    )
