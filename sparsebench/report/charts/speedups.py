"""Speed-ups over the baseline: by pattern, sparsity, batch size and shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sparsebench.report.cells import split
from sparsebench.report.charts.facets import (
    FACETS,
    by_kernel,
    full_table,
    group_labeller,
    merged,
    of,
    panels,
    speedup_point,
    with_speedup,
)
from sparsebench.report.charts.model import Axis, Chart, Grid, Panel, Point, Series
from sparsebench.report.frame import Record, sparsity_text, variant_label

if TYPE_CHECKING:
    from sparsebench.report.loaded import Loaded

# More rows than fit on a screen say less than their means.
_MOST_ROWS = 30
_MOST_PANELS = 16
_INTERVAL = "Whiskers: 95% interval, no narrower than that of the mean of the cases."
IDEAL = "ideal, 1/density"
# What tells problems of one pattern apart, whatever N and the density are.
_FAMILY = ("shape", "M", "K")


def overview(loaded: Loaded) -> Chart | None:
    """Speed-up of every kernel for every pattern, merged over shapes and batch sizes."""
    records = with_speedup(loaded.records)
    if not records:
        return None
    label = group_labeller(records)
    parts = split(records, lambda record: (label(record),))
    return Chart(
        "overview",
        f"What sparsity buys: speed-up over {_baselines(records)}",
        "Geometric mean over shapes and batch sizes, by pattern; the short line is 1/density, the most that leaving"
        f" out the zeros alone can bring over a dense kernel of the same quality. {_INTERVAL}",
        x=Axis("speed-up", ratio=True),
        y=Axis("", rows=("",)),
        panels=tuple(_overview_panel(label(part[0]), part) for part in parts),
    )


def _overview_panel(group: str, records: Sequence[Record]) -> Panel:
    row_of: Callable[[Record], str] = lambda r: f"{variant_label(r)} {sparsity_text(r['density'])}"  # noqa: E731
    if len({row_of(r) for r in records}) > _MOST_ROWS or len({r["density"] for r in records}) == 1:
        row_of = variant_label
    rows = list(dict.fromkeys(map(row_of, records)))
    series = []
    for kernel, cases in by_kernel(records).items():
        points = [
            speedup_point(part, rows.index(row_of(part[0])), f"{kernel}, {row_of(part[0])}", row=True)
            for part in split(cases, lambda record: (row_of(record),))
        ]
        series.append(Series(kernel, tuple(points), kernel, "points"))
    ideal = [_ideal(part, rows.index(row_of(part[0]))) for part in split(records, lambda record: (row_of(record),))]
    return Panel(group, "", (*series, Series(IDEAL, tuple(ideal), kind="ticks")), Axis("", rows=tuple(rows)))


def _ideal(records: Sequence[Record], row: int) -> Point:
    value = 1 / merged(records, "density")[0]
    return Point(value, row, tip=f"ideal, 1/density: {value:.3g}x")


def over_sparsity(loaded: Loaded) -> Chart | None:
    """Speed-up over 1/density, for patterns measured at several densities."""
    choices = (("variant", "N", "shape"), ("variant", "N"), ("variant",))
    records = with_speedup(loaded.records)
    found = _lines(records, choices, lambda r: 1 / r["density"], lambda r: sparsity_text(r["density"]), (*_FAMILY, "N"))
    if not found:
        return None
    marks = _measured(found)
    ideal = Series(IDEAL, tuple(Point(x, x, tip=f"ideal at {sparsity_text(1 / x)}: {x:.3g}x") for x in marks))
    return Chart(
        "sparsity",
        "Speed-up against sparsity",
        f"Over {_baselines(records)}; along the dashed line time is proportional to the weights that are left."
        f" {_INTERVAL}",
        x=Axis("sparsity of W", marks, lambda x: sparsity_text(round(1 / x, 4))),
        y=Axis("speed-up", ratio=True),
        panels=tuple(_with(panel, ideal) for panel in found),
    )


def over_batch(loaded: Loaded) -> Chart | None:
    """Speed-up over N, for patterns measured at several."""
    records = with_speedup(loaded.records)
    choices = (("variant", "shape", "density"), ("variant", "density"), ("variant",))
    found = _lines(records, choices, lambda r: r["N"], FACETS["N"], (*_FAMILY, "density", "weights"))
    if not found:
        return None
    marks = _measured(found)
    densities = {r["density"] for r in records}
    if len(densities) == 1:
        most = 1 / densities.pop()
        ends = tuple(Point(x, most, tip=f"ideal: {most:.3g}x") for x in (marks[0], marks[-1]))
        found = [_with(panel, Series(IDEAL, ends)) for panel in found]
    return Chart(
        "batch",
        "Speed-up against batch size",
        f"Over {_baselines(records)}. {_INTERVAL}",
        x=Axis("N, columns of X or samples", marks, lambda x: f"{x:g}"),
        y=Axis("speed-up", ratio=True),
        panels=tuple(found),
    )


def _lines(
    records: Sequence[Record],
    choices: Sequence[tuple[str, ...]],
    x: Callable[[Record], float],
    where: Callable[[Record], str],
    family: tuple[str, ...],
) -> list[Panel]:
    """Make panels with a line per kernel over x; the fewest facets are merged that leave few panels.

    Every point of a line is of the same problems: `family` are the columns that tell them apart whatever x is.
    """
    label, found = group_labeller(records), []
    for group in split(records, lambda record: (label(record),)):
        kept = [r for part in split(group, lambda r: (variant_label(r),)) for r in full_table(part, x, family)]
        for title, part in panels(kept, choices, _MOST_PANELS) if kept else ():
            series = []
            for kernel, cases in by_kernel(part).items():
                parts = sorted(split(cases, lambda record: (x(record),)), key=lambda p: x(p[0]))
                points = [speedup_point(p, x(p[0]), f"{kernel}, {where(p[0])}") for p in parts]
                series.append(Series(kernel, tuple(points), kernel))
            found.append(Panel(label(part[0]), title, tuple(series)))
    return found


def _with(panel: Panel, series: Series) -> Panel:
    return Panel(panel.group, panel.title, (*panel.series, series), panel.y)


def _measured(found: Sequence[Panel]) -> tuple[float, ...]:
    return tuple(sorted({point.x for panel in found for series in panel.series for point in series.points}))


def _baselines(records: Sequence[Record]) -> str:
    return " or ".join(dict.fromkeys(r["baseline"] for r in records))


def shapes(loaded: Loaded) -> Chart | None:
    """Speed-ups as a heat map of shapes x kernels, for each pattern with several shapes."""
    records = with_speedup(loaded.records)
    records = [r for part in split(records, _of_variant) if len({FACETS["shape"](r) for r in part}) > 1 for r in part]
    if not records:
        return None
    label = group_labeller(records)
    parts = [
        (group, title, part)
        for group in split(records, lambda record: (label(record),))
        for title, part in panels(group, (("variant", "density"), ("variant",)), _MOST_PANELS)
    ]
    return Chart(
        "shapes",
        "Shapes and kernels",
        f"Speed-up over {_baselines(records)}, geometric mean over batch sizes; blue is faster, orange slower.",
        x=Axis(""),
        y=Axis("shape"),
        grids=tuple(_grid(label(group[0]), title, part) for group, title, part in parts),
    )


def _of_variant(record: Record) -> tuple[object, ...]:
    return (*(record.get(n) for n in ("run", "suite", "threads", "level", "baseline")), variant_label(record))


def _grid(group: str, title: str, records: Sequence[Record]) -> Grid:
    kernels = by_kernel(records)
    rows = split(records, lambda record: (FACETS["shape"](record),))
    cells = [[[r for r in row if r["kernel"] == kernel] for kernel in kernels] for row in rows]
    values = [[merged(cell, "speedup")[0] if cell else None for cell in row] for row in cells]
    tips = [
        [
            f"{c[0]['kernel']}, {FACETS['shape'](c[0])}: {v:.3g}x{of(c)}" if v else ""
            for c, v in zip(row, shown, strict=True)
        ]
        for row, shown in zip(cells, values, strict=True)
    ]
    return Grid(
        group,
        title,
        tuple(FACETS["shape"](row[0]) for row in rows),
        tuple(kernels),
        tuple(map(tuple, values)),
        tuple(map(tuple, tips)),
    )
