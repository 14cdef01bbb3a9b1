"""What a chart is, before anything draws it: panels of series of points on two axes, or grids of values."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of all panels of a chart.

    Attributes
    ----------
    marks
        Values that were measured, where a tick says most; none leaves ticks to whatever draws.
    show
        Text of a tick.
    rows
        Labels from top to bottom, of an axis of categories whose values are 0, 1, ...; empty for numbers.
    ratio
        Whether 1 is where nothing is gained or lost.
    linear
        Whether equal distances are equal differences; else they are equal ratios.
    """

    label: str
    marks: tuple[float, ...] = ()
    show: Callable[[float], str] = "{:g}".format
    rows: tuple[str, ...] = ()
    ratio: bool = False
    linear: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """A value, and what a reader who points at it is told.

    Attributes
    ----------
    low, high
        Limits along the axis of values: y, or x where y has rows. None: no interval is claimed.
    case
        The row of the report's frame that it is, where it is one case.
    beyond
        Whether the value is only known to be at or below this one ("less") or above it ("more").
    """

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    tip: str = ""
    case: int | None = None
    beyond: Literal["", "less", "more"] = ""


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one kernel, or a line to compare with.

    Attributes
    ----------
    kernel
        Which it is of; "" for a reference.
    kind
        "line": points joined; "points"; "ticks": short lines across their rows.
    label
        At which of its ends a reference line is named.
    """

    name: str
    points: tuple[Point, ...]
    kernel: str = ""
    kind: Literal["line", "points", "ticks"] = "line"
    label: Literal["start", "end"] = "end"


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes.

    Attributes
    ----------
    group
        What panels that are read together have in common, such as a thread count.
    y
        Its own axis of rows, where panels have different ones.
    """

    group: str
    title: str
    series: tuple[Series, ...]
    y: Axis | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """Values by row and column; None where there is none. `tips` are of the same shape."""

    group: str
    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    tips: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A question and its answer in panels, or in grids.

    Attributes
    ----------
    name
        What ``--chart`` and files call it.
    caption
        What is shown, over what it is merged, and what an interval is.
    """

    name: str
    title: str
    caption: str
    x: Axis
    y: Axis
    panels: tuple[Panel, ...] = ()
    grids: tuple[Grid, ...] = ()

    def groups(self) -> list[str]:
        """Return the groups of the panels or grids, in order of appearance."""
        return list(dict.fromkeys([*(panel.group for panel in self.panels), *(grid.group for grid in self.grids)]))

    def parts(self, group: str) -> list[Panel | Grid]:
        """Return the panels or grids of a group."""
        both: list[Panel | Grid] = [*self.panels, *self.grids]
        return [part for part in both if part.group == group]

    def strongest(self) -> float:
        """Return the largest |log| of a value in the grids; 0 where there is none."""
        values = (value for grid in self.grids for row in grid.values for value in row if value is not None)
        return max((abs(math.log(value)) for value in values), default=0.0)

    def kernels(self) -> list[str]:
        """Return the kernels drawn, in order of appearance."""
        return list(dict.fromkeys(s.kernel for panel in self.panels for s in panel.series if s.kernel))
