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
    stream.write("\n".join(map(_render, tables)))


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")


def _note(text: str) -> str:
    """Return a note in which the terminal's mark of the best is what it is here."""
    return f"bold{text[1:]}" if text.startswith("*: ") else text


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell) -> str:
    text = f"**{_escape(cell.text)}**" if cell.best else _escape(cell.text)
    return f"{text} {_escape(cell.detail)}".strip()


def _render(table: Table) -> str:
    lines = [f"### {_escape(table.title)}", "", f"{_escape(table.subtitle)}", ""]
    lines.append(_line(_escape(head) for head in (*table.labels, *table.columns)))
    lines.append(_line([":--"] + ["--:"] * (len(table.labels) + len(table.columns) - 1)))
    lines += [_line([*map(_escape, row.labels), *map(_cell, row.cells)]) for row in table.rows]
    if table.notes:
        lines += ["", *(f"- {_escape(_note(note))}" for note in table.notes)]
    return "\n".join(lines) + "\n"
