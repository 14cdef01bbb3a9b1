"""Tables as GitHub-flavoured Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from sparsebench.report.cells import Cell, Table
from sparsebench.report.table import make_tables

if TYPE_CHECKING:
    import pandas as pd


def write(frame: pd.DataFrame, stream: TextIO, *, metric: str = "speedup", by: Sequence[str] = ()) -> None:
    """Write the tables of a frame; the best of each row is bold.

    Raises
    ------
    InputError
        If the metric or a column is not known.
    """
    write_tables(make_tables(frame, metric, by), stream)


def write_tables(tables: Sequence[Table], stream: TextIO) -> None:
    """Write tables one below the other."""
    stream.write("\n".join(map(render_table, tables)))


def escape(text: str) -> str:
    """Return text that stands in a cell of a table as it is."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")


def _note(text: str) -> str:
    """Return a note in which the terminal's mark of the best is what it is here."""
    return f"bold{text[1:]}" if text.startswith("*: ") else text


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell) -> str:
    text = f"**{escape(cell.text)}**" if cell.best else escape(cell.text)
    return f"{text} {escape(cell.detail)}".strip()


def render_table(table: Table) -> str:
    """Return a table as GitHub-flavoured Markdown."""
    lines = [f"### {escape(table.title)}", "", f"{escape(table.subtitle)}", ""]
    if table.rows:
        lines.append(_line(escape(head) for head in (*table.labels, *table.columns)))
        lines.append(_line([":--"] + ["--:"] * (len(table.labels) + len(table.columns) - 1)))
    lines += [_line([*map(escape, row.labels), *map(_cell, row.cells)]) for row in table.rows]
    if table.notes:
        lines += ["", *(f"- {escape(_note(note))}" for note in table.notes)]
    return "\n".join(lines) + "\n"
