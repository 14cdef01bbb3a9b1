"""Verdicts in a terminal: a table of claims, and below it the worst cell of each with its command.

Colours are those of `sparsebench.report.console`; nothing is said by colour alone.
"""

from __future__ import annotations

from textwrap import wrap
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sparsebench.report.verdicts.lines import Checked, lines, summary

_STYLES = {
    "holds": "dodger_blue1",
    "falls short": "bold dark_orange",
    "broken": "bold dark_orange",
    "undecided": "bold",
    "skipped": "dim",
}


def write(checked: Checked, stream: TextIO) -> None:
    """Write the table, as wide as the terminal; commands are not wrapped, so that they can be copied."""
    console = Console(file=stream)
    found = lines(checked)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("claim", ratio=1)
    for head in ("measured", "interval", "limit", "verdict"):
        table.add_column(head, justify="left" if head == "verdict" else "right", no_wrap=True)
    for number, line in enumerate(found, start=1):
        verdict = Text(line.verdict, style=_STYLES[line.verdict])
        table.add_row(str(number), Text(line.claim), line.measured, line.interval, line.limit, verdict)
    console.print(table)
    console.print()
    for number, line in enumerate(found, start=1):
        head = f"{number:>{len(str(len(found)))}}  "
        for detail in line.details:
            for row in wrap(detail, console.width - len(head), break_on_hyphens=False, break_long_words=False):
                console.print(Text(head + row, style="dim"), soft_wrap=True)
                head = " " * len(head)
        if line.repro:
            console.print(Text(head + line.repro), soft_wrap=True)
    console.print()
    console.print(Text(f"{summary(checked)}.", style="bold"))
