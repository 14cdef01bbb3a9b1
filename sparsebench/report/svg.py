"""Charts as inline SVG: small, themed by the page's style sheet, each mark with its text.

Not matplotlib's SVG: that draws letters as outlines (a chart of the reference run is 300 kB, all of the page's charts
here together), cannot follow a page into the dark, and would make the page need matplotlib.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from sparsebench.report.cells import shortened
from sparsebench.report.charts.model import Axis, Chart, Grid, Panel, Point, Series
from sparsebench.report.charts.style import Style
from sparsebench.report.metrics import number
from sparsebench.report.scale import Scale, apart, linear_span, linear_ticks, span, ticks

NARROW, WIDE = 360, 760
# Of a letter at the style sheet's 11 px.
_LETTER = 6.7
_TOP, _BOTTOM, _RIGHT, _LEFT = 8, 36, 12, 46
_HEIGHT = 220
_TOP_OF_ROWS = 20
_ROW, _STEP = 14, 3.0


def extent(chart: Chart, side: Literal["x", "y"]) -> tuple[float, float]:
    """Return the range of an axis over all panels of a chart; that of an axis of rows is not used."""
    points = [point for panel in chart.panels for series in panel.series for point in series.points]
    if side == "y" and chart.y.rows:
        return 1.0, 1.0
    limits = (side == "x") == bool(chart.y.rows)
    ends = [limit for point in points for limit in (point.low, point.high) if limits and limit is not None]
    fitted = linear_span if getattr(chart, side).linear else span
    return fitted([*(getattr(point, side) for point in points), *ends])


@dataclass(frozen=True, slots=True)
class _Plane:
    """Where values fall on a panel, in units of its view box.

    Attributes
    ----------
    y
        Of a value and a kernel: kernels that share a row stand a little apart.
    row
        Height of a row; 0 where y has numbers.
    top
        Where the first row, or the range of y, begins.
    """

    width: float
    height: float
    left: float
    x: Scale
    y: Callable[[float, str], float]
    row: float
    top: float = _TOP

    def limits(self, point: Point, kernel: str) -> tuple[float, float] | None:
        """Return the ends of a point's whiskers along the axis of values."""
        if point.low is None or point.high is None:
            return None
        if self.row:
            return self.x(point.low), self.x(point.high)
        return self.y(point.low, kernel), self.y(point.high, kernel)


def panel_svg(
    panel: Panel,
    axes: tuple[Axis, Axis],
    ranges: tuple[tuple[float, float], tuple[float, float]],
    styles: Mapping[str, Style],
    width: int = NARROW,
) -> str:
    """Return one panel as an ``<svg>``; ranges are of x and y, see `extent`."""
    y_axis = panel.y or axes[1]
    if y_axis.rows:
        plane = _plane_of_rows(panel, y_axis, ranges[0], width)
        body = _row_frame(y_axis, plane)
    else:
        y_scale = Scale(*ranges[1], _HEIGHT - _BOTTOM, _TOP, y_axis.linear)
        x_scale = Scale(*ranges[0], _LEFT, width - _RIGHT, axes[0].linear)
        plane = _Plane(width, _HEIGHT, _LEFT, x_scale, lambda value, kernel: y_scale(value), 0)
        body = _y_ticks(y_axis, ranges[1], y_scale, plane)
    body += _x_ticks(axes[0], ranges[0], plane)
    for series in panel.series:
        body += _series(series, plane, styles.get(series.kernel))
    return _svg(width, plane.height, panel.title or panel.group, body)


def _plane_of_rows(panel: Panel, axis: Axis, x_range: tuple[float, float], width: int) -> _Plane:
    kernels = [series.kernel for series in panel.series if series.kernel]
    row = max(_ROW, _STEP * len(kernels) + 8)
    beside = {kernel: (n - (len(kernels) - 1) / 2) * _STEP for n, kernel in enumerate(kernels)}
    left = 10 + min(0.45 * width, _LETTER * max(map(len, axis.rows)))
    return _Plane(
        width,
        _TOP_OF_ROWS + row * len(axis.rows) + _BOTTOM,
        left,
        Scale(*x_range, left, width - _RIGHT),
        lambda value, kernel: _TOP_OF_ROWS + row * (value + 0.5) + beside.get(kernel, 0.0),
        row,
        _TOP_OF_ROWS,
    )


def _svg(width: float, height: float, title: str, body: Iterable[str]) -> str:
    label = escape(title, quote=True)
    # A group of labelled marks, not one picture: a reader of screens may go through them.
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="group" aria-label="{label}"'
        f' style="max-width:{1.25 * width:g}px">{"".join(body)}</svg>'
    )


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(text)}</text>'


def _rule(x1: float, y1: float, x2: float, y2: float, kind: str = "g") -> str:
    return f'<path class="{kind}" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>'


def _x_ticks(axis: Axis, limits: tuple[float, float], plane: _Plane) -> list[str]:
    floor, top = plane.height - _BOTTOM, plane.top
    shown = apart(
        axis.marks or _round_values(axis, limits), plane.x, lambda value: _LETTER * (len(axis.show(value)) + 1)
    )
    body = [_rule(plane.x(v), top, plane.x(v), floor, _kind(v, axis)) for v in shown]
    body += [_text(plane.x(v), floor + 14, axis.show(v), "tx") for v in shown]
    # Rows may reach beyond a screen: the numbers stand above them too.
    body += [_text(plane.x(v), top - 5, axis.show(v), "tx") for v in shown if plane.row]
    return [*body, _text((plane.left + plane.width - _RIGHT) / 2, plane.height - 5, axis.label, "tx")]


def _y_ticks(axis: Axis, limits: tuple[float, float], place: Scale, plane: _Plane) -> list[str]:
    shown = apart(axis.marks or _round_values(axis, limits), place, lambda value: 13.0)
    body = [_rule(plane.left, place(v), plane.width - _RIGHT, place(v), _kind(v, axis)) for v in shown]
    body += [_text(plane.left - 5, place(v) + 4, axis.show(v), "ty") for v in shown]
    middle = (_TOP + place.start) / 2
    return [*body, f'<text transform="translate(11 {middle:.1f}) rotate(-90)" class="tx">{escape(axis.label)}</text>']


def _round_values(axis: Axis, limits: tuple[float, float]) -> list[float]:
    return linear_ticks(*limits) if axis.linear else ticks(*limits)


def _kind(value: float, axis: Axis) -> str:
    """Return the class of a tick's line."""
    return "g one" if value == 1 and axis.ratio else "g"


def _row_frame(axis: Axis, plane: _Plane) -> list[str]:
    lines = range(len(axis.rows) + 1)
    body = [
        _rule(plane.left, plane.top + plane.row * n, plane.width - _RIGHT, plane.top + plane.row * n) for n in lines
    ]
    most = int((plane.left - 8) / _LETTER)
    for n, label in enumerate(axis.rows):
        body.append(_text(plane.left - 5, plane.top + plane.row * (n + 0.5) + 4, shortened(label, most), "ty"))
    return body


def _series(series: Series, plane: _Plane, style: Style | None) -> list[str]:
    places = [(plane.x(point.x), plane.y(point.y, series.kernel)) for point in series.points]
    body = [f'<g class="{f"k{style.colour}" if style else "ref"}">']
    if series.kind == "line" and len(places) > 1:
        dash = f' stroke-dasharray="{style.dash}"' if style and style.dash else ""
        body.append(f'<path class="l"{dash} d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in places)}"/>')
    limits = [plane.limits(point, series.kernel) for point in series.points]
    whiskers = "".join(
        f"M{pair[0]:.1f} {y:.1f}H{pair[1]:.1f}" if plane.row else f"M{x:.1f} {pair[0]:.1f}V{pair[1]:.1f}"
        for (x, y), pair in zip(places, limits, strict=True)
        if pair is not None
    )
    body += [f'<path class="w" d="{whiskers}"/>'] if whiskers else []
    body += [_mark(point, x, y, series, style, plane.row) for point, (x, y) in zip(series.points, places, strict=True)]
    if style is None and series.kind == "line":
        body.append(_reference_label(series, places))
    return [*body, "</g>"]


def _reference_label(series: Series, places: Sequence[tuple[float, float]]) -> str:
    if series.label == "start":
        return _text(places[0][0] + 3, places[0][1] - 5, series.name, "tr")
    return _text(places[-1][0] - 6, places[-1][1] - 5, series.name, "tr te")


def _mark(point: Point, x: float, y: float, series: Series, style: Style | None, row: float) -> str:
    if point.case is not None:
        # Thousands of these: their text is looked up by the page's script.
        return f'<path class="p" d="{outline(style, x, y, 2)}" data-case="{point.case}"/>'
    if series.kind == "ticks":
        shape = f"M{x:.1f} {y - row / 2 + 2:.1f}V{y + row / 2 - 2:.1f}"
    elif point.beyond:
        tip = -6 if point.beyond == "less" else 6
        shape = f"M{x:.1f} {y - 3.5:.1f}L{x + tip:.1f} {y:.1f}L{x:.1f} {y + 3.5:.1f}Z"
    elif style is None:
        # A reference line is told at its ends, by an invisible mark.
        return f'<circle class="h" cx="{x:.1f}" cy="{y:.1f}" r="6"><title>{escape(point.tip)}</title></circle>'
    else:
        shape = outline(style, x, y, 3.2)
    kind = "t" if series.kind == "ticks" else "m"
    return f'<path class="{kind}" d="{shape}"><title>{escape(point.tip)}</title></path>'


def outline(style: Style | None, x: float, y: float, r: float) -> str:
    """Return the path of a marker of radius r around a point."""
    marker = style.marker if style else "circle"
    if marker == "circle":
        return f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r:g} 0a{r} {r} 0 1 0 {-2 * r:g} 0z"
    if marker == "square":
        return f"M{x - r:.1f} {y - r:.1f}h{2 * r:g}v{2 * r:g}h{-2 * r:g}z"
    if marker == "triangle":
        return f"M{x:.1f} {y - 1.2 * r:.1f}l{1.1 * r:g} {2 * r:g}h{-2.2 * r:g}z"
    if marker == "down":
        return f"M{x:.1f} {y + 1.2 * r:.1f}l{1.1 * r:g} {-2 * r:g}h{-2.2 * r:g}z"
    if marker == "bar":
        return f"M{x - 0.5 * r:.1f} {y - 1.3 * r:.1f}h{r:g}v{2.6 * r:g}h{-r:g}z"
    d = 1.3 * r
    return f"M{x:.1f} {y - d:.1f}l{d:g} {d:g}l{-d:g} {d:g}l{-d:g} {-d:g}z"


def swatch(style: Style) -> str:
    """Return a piece of a kernel's line with its marker, for a legend."""
    dash = f' stroke-dasharray="{style.dash}"' if style.dash else ""
    body = f'<path class="l"{dash} d="M1 7H27"/><path class="m" d="{outline(style, 14, 7, 3.4)}"/>'
    return f'<svg class="sw" viewBox="0 0 28 14" aria-hidden="true"><g class="k{style.colour}">{body}</g></svg>'


def grid_svg(grid: Grid, most: float, width: int = NARROW) -> str:
    """Return a heat map; `most` is the largest |log| of a value, which has the strongest colour."""
    left = 10 + _LETTER * max(map(len, grid.rows))
    head = 8 + 0.75 * _LETTER * max(map(len, grid.columns))
    # Slanted heads reach beyond the last column.
    cell = (width - left - 0.6 * head) / len(grid.columns)
    body = []
    for n, column in enumerate(grid.columns):
        x = left + cell * (n + 0.5)
        body.append(
            f'<text class="ts" transform="translate({x:.1f} {head - 4:.1f}) rotate(-45)">{escape(column)}</text>'
        )
    for n, (row, values, tips) in enumerate(zip(grid.rows, grid.values, grid.tips, strict=True)):
        y = head + 20 * n
        body.append(_text(left - 5, y + 14, row, "ty"))
        for m, (value, tip) in enumerate(zip(values, tips, strict=True)):
            if value is None:
                continue
            strength = 0.6 * abs(math.log(value)) / most if most else 0
            x = left + cell * m
            kind = "more" if value >= 1 else "less"
            box = f'x="{x:.1f}" y="{y:.1f}" width="{cell - 1:.1f}" height="19" fill-opacity="{strength:.2f}"'
            body.append(f'<rect class="{kind}" {box}><title>{escape(tip)}</title></rect>')
            body.append(_text(x + cell / 2, y + 14, number(value), "tc"))
    return _svg(width, head + 20 * len(grid.rows) + 4, grid.title or grid.group, body)
