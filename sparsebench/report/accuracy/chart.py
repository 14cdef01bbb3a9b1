"""Accuracy over measured speed-up: a point for each pattern, dense in the corner."""

from __future__ import annotations

from collections.abc import Sequence

from sparsebench.accuracy.results import Timings, TrainingResult
from sparsebench.patterns import Block, Complementary, parse_pattern
from sparsebench.report.accuracy.cohorts import DENSE, Cohort, Study, act_text, sparsity_text
from sparsebench.report.charts.model import Axis, Chart, Panel, Point, Series
from sparsebench.report.charts.style import Style

# By lanes, or by the rows of a block.
_MARKERS = {1: "circle", 4: "square", 8: "triangle", 16: "diamond"}
_ROUND = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 50.0, 100.0)
_BLACK, _BLUE, _GREEN, _ORANGE, _PINK = 0, 1, 2, 3, 4


def chart(results: Sequence[TrainingResult], timings: Timings) -> Chart | None:
    """Return the chart, a group for each split and density; None where nothing was timed beside the dense network."""
    study = Study.of(results, timings)
    panels = [panel for setting in study.settings() for panel in _panels(study, *setting)]
    if not panels:
        return None
    return Chart(
        "accuracy",
        "Accuracy over speed",
        "Test accuracy, mean and 95 % interval, over how many times as fast the trained network is as the dense one:"
        " one core, batch 1, our kernels.",
        x=Axis("times as fast as dense", _marks(panels), "{:g}".format, ratio=True),
        y=Axis("accuracy, %", show="{:.4g}".format, linear=True),
        panels=tuple(panels),
    )


def looks(chart: Chart) -> dict[str, Style]:
    """Return how each pattern is drawn: its kind sets the colour, its size the marker."""
    return {pattern: _style(pattern) for pattern in chart.kernels()}


def _style(pattern: str) -> Style:
    if pattern == DENSE:
        return Style(_BLACK, "", "circle")
    match parse_pattern(pattern):
        case Complementary(lanes, arrangement):
            return Style(_ORANGE if arrangement == "balanced" else _PINK, "", _MARKERS[lanes])
        case Block(rows):
            return Style(_GREEN, "", _MARKERS.get(rows, "circle"))
    return Style(_BLUE, "", "circle")


def _panels(study: Study, split: str, density: float) -> list[Panel]:
    cohorts = study.within(split, density)
    dense = next((cohort for cohort in cohorts if cohort.pattern == DENSE and cohort.act_density == 1), None)
    panels = []
    for act in dict.fromkeys(cohort.act_density for cohort in cohorts if cohort.pattern != DENSE):
        shown = [cohort for cohort in cohorts if cohort.act_density == act or cohort is dense]
        # Of two dense networks the one with ReLU is the corner.
        shown = [cohort for cohort in shown if cohort.pattern != DENSE or cohort is dense]
        series = [found for cohort in shown if (found := _series(study, cohort))]
        if len(series) > 1:
            panels.append(Panel(f"{split}, {sparsity_text(density)}", act_text(act), tuple(series)))
    return panels


def _marks(panels: Sequence[Panel]) -> tuple[float, ...]:
    """Return the ticks of speed-ups: round ones up to the largest, and 1."""
    speedups = [point.x for panel in panels for series in panel.series for point in series.points]
    return tuple(mark for mark in _ROUND if mark == 1 or min(speedups) <= mark <= max(speedups))


def _series(study: Study, cohort: Cohort) -> Series | None:
    mean, speedup = cohort.mean(), study.speedup(cohort)
    if mean is None or speedup is None:
        return None
    tip = f"{cohort.pattern}: {100 * mean.mean:.2f} % ±{100 * mean.half:.2f}, {speedup.value:.1f} times as fast"
    point = Point(speedup.value, 100 * mean.mean, 100 * mean.low, 100 * min(1.0, mean.high), tip)
    return Series(cohort.pattern, (point,), cohort.pattern, "points")
