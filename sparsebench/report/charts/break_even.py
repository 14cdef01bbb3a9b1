"""The sparsity from which each kernel is faster than the best dense one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from sparsebench.report.break_even import BreakEven, find
from sparsebench.report.break_even_table import interval_text, limit_text
from sparsebench.report.cells import split
from sparsebench.report.charts.facets import FACETS, group_labeller
from sparsebench.report.charts.model import Axis, Chart, Panel, Point, Series
from sparsebench.report.frame import sparsity_text, variant_label

if TYPE_CHECKING:
    from sparsebench.report.loaded import Loaded


def break_even(loaded: Loaded) -> Chart | None:
    """Break-evens in rows of shapes and N, a panel for each pattern; None where no density was varied."""
    found = find(loaded)
    if not found:
        return None
    label = group_labeller([item.record for item in found])
    by_record = {id(item.record): item for item in found}
    parts = split([item.record for item in found], lambda record: (label(record), variant_label(record)))
    densities = sorted({place.density for item in found for place in item.places}, reverse=True)
    return Chart(
        "break-even",
        "Where sparse begins to pay",
        "Sparsity from which a kernel is faster than the best dense one; whiskers: 95% interval. An arrow to the left:"
        " faster at every measured sparsity; to the right: at none.",
        x=Axis("sparsity of W", tuple(1 / d for d in densities), lambda x: sparsity_text(round(1 / x, 4))),
        y=Axis("", rows=("",)),
        panels=tuple(
            _panel(label(part[0]), variant_label(part[0]), [by_record[id(record)] for record in part]) for part in parts
        ),
    )


def _panel(group: str, title: str, items: list[BreakEven]) -> Panel:
    rows = list(dict.fromkeys(_row(item) for item in items))
    series = []
    for kernel in dict.fromkeys(item.kernel for item in items):
        points = [_point(item, rows.index(_row(item))) for item in items if item.kernel == kernel]
        series.append(Series(kernel, tuple(points), kernel, "points"))
    return Panel(group, title, tuple(series), Axis("", rows=tuple(rows)))


def _row(item: BreakEven) -> str:
    return f"{FACETS['shape'](item.record)}, {FACETS['N'](item.record)}"


def _point(item: BreakEven, row: int) -> Point:
    ends = item.places[-1].density, item.places[0].density
    beyond: dict[str, Literal["", "less", "more"]] = {"always faster": "less", "not reached": "more"}
    tip = f"{item.kernel}, {_row(item)}: from {limit_text(item.density, item.places)} {interval_text(item)}".rstrip()

    def x(density: float) -> float:
        return 1 / min(max(density, ends[0]), ends[1])

    low, high = (None, None) if item.low is None or item.high is None else (x(item.high), x(item.low))
    if math.isinf(item.density) and item.low == math.inf:
        low = high = None
    return Point(x(item.density), row, low, high, f"{tip}; {item.verdict}", beyond=beyond.get(item.verdict, ""))
