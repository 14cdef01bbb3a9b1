"""A comparison in a terminal: kernels, then the cases that matter below their problems.

Colours are those of `sparsebench.report.console`; nothing is said by colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sparsebench.bench.ab_stats import VERDICTS
from sparsebench.report.ab import words
from sparsebench.report.ab.cases import Case, Comparison, Outcome
from sparsebench.report.metrics import duration

_STYLES = {"wrong": "bold dark_orange", "failed": "bold dark_orange", "slower": "bold dark_orange"}
_STYLES |= {"faster": "bold dodger_blue1"}
# How many cases of an outcome that asks for nothing are shown, unless all are.
_SHOWN = {"undecided": 5, "same": 0}


def write(comparison: Comparison, stream: TextIO, *, everything: bool) -> None:
    """Write the comparison, as wide as the terminal; the command is not wrapped, so that it can be copied."""
    console = Console(file=stream)
    _say(console, words.conditions(comparison))
    for label, said in words.sides(comparison).items():
        _say(console, f"{label}  {said}", indent=6)
    console.print()
    if comparison.kernels:
        console.print(_kernels(comparison))
        console.print()
    for outcome, heading in words.HEADINGS.items():
        cases = comparison.of(outcome)
        shown = cases if everything else cases[: _SHOWN.get(outcome, len(cases))]
        if shown:
            more = f", {len(shown)} of {len(cases)}; --all shows the rest" if len(shown) < len(cases) else ""
            console.print(Text(f"{heading}{more}", style=_STYLES.get(outcome, "bold")))
            _print_cases(console, shown, outcome)
            console.print()
    for warning in comparison.warnings:
        _say(console, f"! {warning}", indent=2, style="dim")
    if again := words.repro(comparison):
        console.print(Text("the gravest case again:", style="dim"))
        console.print(Text(again), soft_wrap=True)
        console.print()
    _say(console, f"{words.summary(comparison)}.", style="bold")


def _say(console: Console, text: str, indent: int = 0, style: str = "") -> None:
    for line in wrap(text, console.width, subsequent_indent=" " * indent, break_on_hyphens=False):
        console.print(Text(line, style=style))


def _kernels(comparison: Comparison) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("kernel", no_wrap=True)
    for head in ("change", "interval", *VERDICTS):
        table.add_column(head, justify="right", no_wrap=True)
    for kernel in comparison.kernels:
        counts = (str(kernel.counts[verdict] or "") for verdict in VERDICTS)
        table.add_row(kernel.kernel, words.percent(kernel.change.estimate), words.interval(kernel.change), *counts)
    return table


def _print_cases(console: Console, cases: Sequence[Case], outcome: Outcome) -> None:
    """Print cases by problem, those that changed most first; columns are aligned over all of them."""
    by_place: dict[str, list[Case]] = {}
    for case in cases:
        by_place.setdefault(words.place(case), []).append(case)
    rows = {id(case): _row(case) for case in cases}
    widths = [max(map(len, column)) for column in zip(*rows.values(), strict=True)]
    for place, here in by_place.items():
        console.print(Text(f"  {place}", style="dim"), soft_wrap=True)
        for case in here:
            name, *cells = rows[id(case)]
            padded = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
            line = "  ".join([name.ljust(widths[0]), *padded]).rstrip()
            console.print(Text(f"    {line}", style=_STYLES.get(outcome, "")), soft_wrap=True)
            if case.note:
                for text in wrap(case.note, console.width - 6):
                    console.print(Text(f"      {text}", style="dim"))


def _row(case: Case) -> tuple[str, ...]:
    if case.change is None or case.base_s is None or case.head_s is None:
        return (case.kernel,)
    return (
        case.kernel,
        f"{duration(case.base_s)} -> {duration(case.head_s)}",
        words.percent(case.change.estimate),
        f"({words.interval(case.change)})",
        f"sd {words.spread(case.change)}" if case.change.spread is not None else "",
    )
