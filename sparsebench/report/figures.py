"""Charts as files for papers (matplotlib): SVG, PNG or PDF, one for each chart and group of panels."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsebench.errors import InputError, UnavailableError
from sparsebench.report import charts
from sparsebench.report.charts.model import Axis, Chart, Grid, Panel, Series
from sparsebench.report.charts.style import COLOURS, MARKERS, ROLES, Style, styles
from sparsebench.report.metrics import number
from sparsebench.report.plot import INSTALL
from sparsebench.report.svg import extent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sparsebench.report.loaded import Loaded

_ACROSS = 3
# Inches that a letter of the legend takes, and its mark with the space between columns.
_LEGEND_LETTER = 0.068
_LEGEND_MARK = 0.55
_GREY = "#595959"


def save(loaded: Loaded, suffix: str, output: Path, names: Sequence[str] = ()) -> list[Path]:
    """Draw charts into files ``NAME.SUFFIX``, or ``NAME-GROUP.SUFFIX``, of the folder `output`; return their paths.

    A single file is written to `output` itself where that ends in the suffix.

    Parameters
    ----------
    suffix
        "svg", "png" or "pdf".
    names
        Of `sparsebench.report.charts.CHARTS`; none means all that the cases have something to show for.

    Raises
    ------
    InputError
        If a chart is not known or empty, several do not fit into one file, or a file cannot be written.
    UnavailableError
        If matplotlib is not installed; names the command that installs it.
    """
    made = charts.make(loaded, names)
    if not made:
        raise InputError("these cases have nothing that a chart could show")
    looks = styles(list(dict.fromkeys(record["kernel"] for record in loaded.records))) | ROLES
    return save_charts(made, looks, suffix, output)


def save_charts(made: Sequence[Chart], looks: Mapping[str, Style], suffix: str, output: Path) -> list[Path]:
    """Draw charts as `save` does, each kernel as `looks` says.

    Raises
    ------
    InputError
        If several do not fit into one file, or a file cannot be written.
    UnavailableError
        If matplotlib is not installed; names the command that installs it.
    """
    try:
        from matplotlib import rc_context
    except ImportError:
        raise UnavailableError(f"charts as {suffix} need matplotlib: {INSTALL}") from None
    parts = [(chart, group) for chart in made for group in chart.groups()]
    paths = _paths(parts, suffix, output)
    # Text as text: a paper's reader searches and copies it.
    with rc_context({"svg.fonttype": "none", "font.size": 8}):
        for (chart, group), path in zip(parts, paths, strict=True):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                figure(chart, group, looks).savefig(path, dpi=200)
            except OSError as error:
                raise InputError(f"cannot write {path}: {error.strerror}") from error
    return paths


def _paths(parts: Sequence[tuple[Chart, str]], suffix: str, output: Path) -> list[Path]:
    if output.suffix == f".{suffix}":
        if len(parts) > 1:
            found = ", ".join(f"{chart.name} ({group})" for chart, group in parts)
            raise InputError(
                f"--output {output} is one file, but there are {len(parts)} charts: {found};"
                " name a folder, or choose by --chart and --where"
            )
        return [output]
    single = {chart.name for chart, _ in parts if len(chart.groups()) == 1}
    names = [chart.name if chart.name in single else f"{chart.name}-{_slug(group)}" for chart, group in parts]
    return [output / f"{name}.{suffix}" for name in names]


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")


def figure(chart: Chart, group: str, looks: Mapping[str, Style]) -> Figure:
    """Draw the panels or grids of one group of a chart."""
    from matplotlib.figure import Figure

    parts = chart.parts(group)
    across = min(_ACROSS, len(parts))
    down = math.ceil(len(parts) / across)
    width = 7.2 if len(parts) == 1 else 3.1 * across
    drawn = Figure(figsize=(width, sum(_heights(parts, across)) + 0.9), layout="constrained")
    axes = drawn.subplots(down, across, squeeze=False, height_ratios=_heights(parts, across))
    for place, part in zip(axes.flat, parts, strict=False):
        place.set_title(part.title, fontsize=8)
        if isinstance(part, Grid):
            _draw_grid(place, part, chart.strongest())
        else:
            _draw_panel(place, part, chart, looks)
    for place in axes.flat[len(parts) :]:
        place.set_axis_off()
    drawn.suptitle(f"{chart.title}; {group}", fontsize=9)
    handles: dict[str, Any] = {}
    for place in axes.flat:
        handles |= {label: handle for handle, label in zip(*place.get_legend_handles_labels(), strict=True)}
    if handles:
        columns = max(1, min(5, int(width / (_LEGEND_LETTER * max(map(len, handles)) + _LEGEND_MARK))))
        drawn.legend(
            handles.values(), handles.keys(), loc="outside lower center", ncols=columns, frameon=False, fontsize=8
        )
    return drawn


def _heights(parts: Sequence[Panel | Grid], across: int) -> list[float]:
    """Return the inches of each row of panels."""
    lines = [parts[start : start + across] for start in range(0, len(parts), across)]
    return [max(map(_height, line)) for line in lines]


def _height(part: Panel | Grid) -> float:
    if isinstance(part, Grid):
        return 1.1 + 0.2 * len(part.rows)
    return 2.3 if part.y is None else 0.6 + 0.3 * len(part.y.rows)


def _draw_panel(place: Axes, panel: Panel, chart: Chart, looks: Mapping[str, Style]) -> None:
    place.set_xscale("linear" if chart.x.linear else "log")
    place.set_xlim(*extent(chart, "x"))
    _set_ticks(place.xaxis, chart.x)
    kernels = [series.kernel for series in panel.series if series.kernel]
    if panel.y is None:
        place.set_yscale("linear" if chart.y.linear else "log")
        place.set_ylim(*extent(chart, "y"))
        _set_ticks(place.yaxis, chart.y)
    else:
        place.set_yticks(range(len(panel.y.rows)), panel.y.rows)
        place.set_ylim(len(panel.y.rows) - 0.5, -0.5)
    place.grid(True, linewidth=0.3)
    for series in panel.series:
        beside = (kernels.index(series.kernel) + 0.5) / len(kernels) - 0.5 if series.kernel and panel.y else 0.0
        _draw_series(place, series, looks.get(series.kernel), 0.8 * beside, rows=panel.y is not None)


def _set_ticks(axis: Any, of: Axis) -> None:
    axis.set_label_text(of.label)
    if of.marks:
        axis.set_ticks(of.marks)
        axis.set_ticks([], minor=True)
    axis.set_major_formatter(lambda value, _: of.show(value))
    axis.set_minor_formatter(lambda value, _: "")


def _draw_series(place: Axes, series: Series, style: Style | None, beside: float, *, rows: bool) -> None:
    x = [point.x for point in series.points]
    y = [point.y + beside for point in series.points]
    if series.kind == "ticks":
        place.scatter(x, y, marker="|", s=90, color="black", linewidths=1.2, label=series.name)
        return
    colour = COLOURS[style.colour] if style else _GREY
    dash: Any = (0, tuple(map(float, style.dash.split()))) if style and style.dash else "-" if style else "--"
    marker = MARKERS[style.marker] if style else ""
    place.plot(
        x,
        y,
        color=colour,
        linestyle=dash if series.kind == "line" else "",
        linewidth=0.9,
        marker=marker,
        markersize=3,
        label=series.name,
    )
    limits = [(p.x, v, p.low, p.high) for p, v in zip(series.points, y, strict=True) if p.low is not None]
    if limits:
        xs, ys, lows, highs = zip(*limits, strict=True)
        across = place.hlines if rows else place.vlines
        across(ys if rows else xs, lows, highs, colors=colour, linewidth=0.7)
    for point, value in zip(series.points, y, strict=True):
        if point.beyond:
            place.plot([point.x], [value], marker="<" if point.beyond == "less" else ">", color=colour, markersize=5)


def _draw_grid(place: Axes, grid: Grid, most: float) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    values = [[math.nan if v is None else math.log(v) for v in row] for row in grid.values]
    # The page's: slower, as fast, faster.
    colours = LinearSegmentedColormap.from_list("speed-up", [COLOURS[3], "#FFFFFF", COLOURS[1]])
    place.imshow(values, cmap=colours, vmin=-2 * most, vmax=2 * most, aspect="auto")
    for row, line in enumerate(grid.values):
        for column, value in enumerate(line):
            if value is not None:
                place.text(column, row, number(value), ha="center", va="center", fontsize=6)
    place.set_xticks(range(len(grid.columns)), grid.columns, rotation=45, ha="right")
    place.set_yticks(range(len(grid.rows)), grid.rows)
