"""The report in a terminal: colours safe for colour-blind eyes, readable at 80 columns."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from sparsebench.report.table import Cell, Report, Table

# Blue and orange are told apart by every kind of colour vision; weight says the same without colour.
_STYLES = {"best": "bold dodger_blue1", "bad": "bold dark_orange", "baseline": "italic", "none": "dim", "": ""}
_HEADER_WIDTH = 8


def _header(name: str, narrow: bool) -> str:
    """A kernel's name, broken after its hyphen or in the middle where columns are narrow."""
    if not narrow or len(name) <= _HEADER_WIDTH:
        return name
    if "-" in name:
        return name.replace("-", "-\n", 1)
    return f"{name[: _HEADER_WIDTH - 2]}-\n{name[_HEADER_WIDTH - 2 :]}"


def _text(cell: Cell, narrow: bool) -> Text:
    text = Text(cell.text, style=_STYLES[cell.mark])
    if cell.spread:
        text.append("\n" if narrow else " ")
        text.append(cell.spread, style="dim")
    return text


def _lay_out(table: Table, narrow: bool) -> RichTable:
    grid = RichTable(
        title=table.title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for index, header in enumerate(table.headers):
        grid.add_column(header, justify="right" if header == "N" else "left", no_wrap=index < 2)
    for kernel in table.kernels:
        grid.add_column(_header(kernel, narrow), justify="right", no_wrap=True)
    for labels, cells in table.rows:
        grid.add_row(*labels, *(_text(cell, narrow) for cell in cells))
    return grid


def render(report: Report, console: Console) -> None:
    """Print the tables, each with its cells on one line if they fit, else on two; then the legend and notes."""
    for table in report.tables:
        wide = _lay_out(table, narrow=False)
        fits = console.measure(wide).minimum <= console.width
        console.print(wide if fits else _lay_out(table, narrow=True))
    console.print(Text(report.legend, style="dim"))
    for note in report.notes:
        console.print(Text(note))
