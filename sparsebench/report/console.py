"""Tables in a terminal, fitted to its width.

Colours are blue for the best and orange for trouble, which colour-blind eyes tell apart; nothing is said by colour
alone. rich leaves them out where $NO_COLOR is set or the output is no terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from textwrap import wrap
from typing import TYPE_CHECKING, TextIO

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from sparsebench.report.bars import bars
from sparsebench.report.cells import Cell, Row, Table
from sparsebench.report.frame import to_records
from sparsebench.report.table import make_tables

if TYPE_CHECKING:
    import pandas as pd

_BEST = "bold dodger_blue1"
_STYLES = {"value": "", "absolute": "", "trouble": "dark_orange", "absent": "dim"}
# Heads of stacked columns are broken so that they are no wider.
_HEAD_WIDTH = 7


def write(frame: pd.DataFrame, stream: TextIO, *, metric: str = "speedup", by: Sequence[str] = ()) -> None:
    """Write the tables of a frame, and speed-ups as bars, as wide as the terminal (80 columns where there is none).

    Raises
    ------
    InputError
        If the metric or a column is not known.
    """
    console = Console(file=stream)
    render(make_tables(frame, metric, by), console)
    if metric == "speedup" and not by:
        for part in bars(to_records(frame), console):
            console.print(part)


def write_tables(tables: Sequence[Table], stream: TextIO) -> None:
    """Write tables, as wide as the terminal."""
    render(tables, Console(file=stream))


def render(tables: Sequence[Table], console: Console) -> None:
    """Print tables with their notes."""
    for table in tables:
        console.print(Text(table.title, style="bold"))
        console.print(Text(table.subtitle, style="dim"))
        for part in fit(table, console) if table.rows else ():
            console.print(part)
        for note in table.notes:
            for line in wrap(note, console.width - 2, subsequent_indent="  ", break_on_hyphens=False):
                console.print(Text(f"  {line}", style="dim"))
        console.print()


def fit(table: Table, console: Console) -> list[RichTable]:
    """Lay a table out: intervals beside values; below them where that is too wide; split where still too wide."""
    everything = range(len(table.columns))
    for short in (False, True):
        beside = _build(table, everything, short=short, stacked=False)
        if _width(beside, console) <= console.width:
            return [beside]
    free = everything[table.pinned :]
    for parts in range(1, len(free) + 1):
        # Even parts, so that none is left with one lonely column.
        cuts = [round(len(free) * i / parts) for i in range(parts + 1)]
        chunks = [[*everything[: table.pinned], *free[start:end]] for start, end in pairwise(cuts)]
        built = [_build(table, chunk, short=True, stacked=True) for chunk in chunks]
        if all(_width(part, console) <= console.width for part in built):
            break
    return built


def _width(table: RichTable, console: Console) -> int:
    return Measurement.get(console, console.options.update(width=10_000), table).maximum


def _build(table: Table, chosen: Sequence[int], *, short: bool, stacked: bool) -> RichTable:
    built = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0, header_style="bold")
    for index, head in enumerate(table.labels):
        numbers = all(row.labels[index].isdecimal() for row in table.rows)
        built.add_column(head, justify="right" if numbers else "left", no_wrap=True, vertical="top")
    for index in chosen:
        head = "\n".join(break_head(table.columns[index])) if short else table.columns[index]
        built.add_column(Text(head, justify="right"), justify="right", no_wrap=True)
    columns = [[row.cells[index] for row in table.rows] for index in chosen]
    shown = [[_stacked(cell) for cell in cells] if stacked else _beside(cells) for cells in columns]
    for number, row in enumerate(table.rows):
        labels = _fresh_labels(table.rows[number - 1] if number else None, row)
        built.add_row(*labels, *(column[number] for column in shown))
    return built


def _fresh_labels(above: Row | None, row: Row) -> list[str]:
    """Leave out leading labels that repeat the row above; the last always stands."""
    labels = list(row.labels)
    for index in range(len(labels) - 1):
        if above is None or above.labels[: index + 1] != row.labels[: index + 1]:
            break
        labels[index] = ""
    return labels


def _value(cell: Cell) -> Text:
    if cell.best:
        return Text(f"*{cell.text}", style=_BEST)
    return Text(cell.text, style=_STYLES[cell.kind])


def _beside(cells: Sequence[Cell]) -> list[Text]:
    """Return values with their details to the right, both aligned."""
    width = max((len(cell.detail) for cell in cells), default=0)
    return [
        _value(cell).append(f" {cell.detail.ljust(width)}", style="dim not bold")
        if width and cell.kind in ("value", "absolute")
        else _value(cell)
        for cell in cells
    ]


def _stacked(cell: Cell) -> Text:
    """Return a value with its detail below."""
    return _value(cell).append(f"\n{cell.detail}", style="dim not bold") if cell.detail else _value(cell)


def break_head(head: str) -> list[str]:
    """Break a column's head after '-' and '/', and in the middle of longer words, into lines of few letters."""
    lines: list[str] = []
    for word in head.replace("-", "-\n").replace("/", "\n/").split("\n"):
        if len(word) > _HEAD_WIDTH:
            half = (len(word) + 1) // 2 - 1
            lines += [f"{word[:half]}-", word[half:]]
        else:
            lines.append(word)
    return lines
