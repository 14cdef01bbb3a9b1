"""Speed-ups as bars in a terminal: of each pattern our best kernel and the best of the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sparsebench.kernel import OURS
from sparsebench.report.cells import split
from sparsebench.report.charts.facets import by_kernel, group_labeller, merged, with_speedup
from sparsebench.report.frame import Record, variant_label
from sparsebench.report.kernel_kinds import is_peer
from sparsebench.report.metrics import number

_EIGHTHS = " ▏▎▍▌▋▊▉█"
# Beside the bar stand a value, and spaces between the columns.
_BESIDE = 10
_LEAST = 8


def bars(records: Sequence[Record], console: Console) -> Iterator[Text | Table]:
    """Yield for each suite, thread count and level a title and its bars; nothing where no case has a speed-up."""
    records = with_speedup(records)
    label = group_labeller(records)
    for part in split(records, lambda record: (label(record),)):
        yield Text(f"speed-up over {part[0]['baseline']}, {label(part[0])}", style="bold")
        yield Text("geometric mean by pattern; our best kernel, then the best of the others", style="dim")
        yield _bars(list(_best(part)), console)
        yield Text()


def _best(records: Sequence[Record]) -> Iterator[tuple[str, str, float, bool]]:
    """Yield (pattern, kernel, speed-up, whether ours) of the best two kernels of each pattern."""
    for part in split(records, lambda record: (variant_label(record),)):
        means = [(merged(cases, "speedup")[0], name, cases[0]) for name, cases in by_kernel(part).items()]
        for ours in (True, False):
            known = [mean for mean in means if (mean[2]["provider"] == OURS) == ours and is_peer(mean[1])]
            if known:
                value, name, first = max(known, key=lambda mean: mean[0])
                yield variant_label(first), name, value, ours


def _bars(rows: Sequence[tuple[str, str, float, bool]], console: Console) -> Table:
    most = max(value for _, _, value, _ in rows)
    words = max(cell_len(pattern) for pattern, *_ in rows) + max(cell_len(kernel) for _, kernel, *_ in rows)
    width = max(_LEAST, console.width - words - _BESIDE)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    for _ in range(3):
        table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    above = ""
    for pattern, kernel, value, ours in rows:
        bar = bar_text(value / most, width, plain=console.options.ascii_only)
        style = "dodger_blue1" if ours else "dim"
        table.add_row("" if pattern == above else pattern, kernel, Text(bar, style=style), number(value))
        above = pattern
    return table


def bar_text(share: float, width: int, *, plain: bool) -> str:
    """Return a bar that is a share of `width` columns long, to an eighth of a column, or of "#" where `plain`."""
    if plain:
        return "#" * max(1, round(share * width))
    eighths = max(1, round(8 * share * width))
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).strip()
