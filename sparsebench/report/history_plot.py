"""A kernel's history as a chart (matplotlib): a value for each run with its interval, lines where the level changes."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from sparsebench.errors import InputError, UnavailableError
from sparsebench.report.history import History
from sparsebench.report.plot import COLOURS, INSTALL, SUFFIXES


def draw(found: History, path: Path) -> None:
    """Write the chart to `path`; its suffix says the kind of file.

    Raises
    ------
    InputError
        If the suffix is not one of `SUFFIXES`, or the file cannot be written.
    UnavailableError
        If matplotlib is not installed; names the command that installs it.
    """
    if path.suffix not in SUFFIXES:
        raise InputError(f"--plot {path}: a plot ends in {', '.join(SUFFIXES)}")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UnavailableError(f"plots need matplotlib: {INSTALL}") from None
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    # Evenly spaced: ten runs of one afternoon and one of last month are all to be seen.
    places = range(len(found.points))
    values = [point.value for point in found.points]
    low = [value.estimate - (value.low or value.estimate) for value in values]
    high = [(value.high or value.estimate) - value.estimate for value in values]
    middle = [value.estimate for value in values]
    axes.errorbar(places, middle, yerr=(low, high), marker="o", markersize=3, linewidth=1.2, color=COLOURS[0])
    for place, point in zip(places, found.points, strict=True):
        if point.begins:
            axes.axvline(place - 0.5, color=COLOURS[1], linestyle="--", linewidth=1)
    named = [
        f"{datetime.fromisoformat(point.run.started):%Y-%m-%d}\n{(point.run.git_commit or point.run.id)[:8]}"
        for point in found.points
    ]
    step = max(1, len(named) // 10)
    axes.set_xticks(list(places)[::step], named[::step], fontsize="x-small")
    axes.set_ylabel(found.metric.title.format(baseline=found.baseline))
    axes.yaxis.set_major_formatter(lambda value, _: found.metric.show(value))
    axes.set_title(f"{found.kernel}, {found.cases} case{'s' if found.cases > 1 else ''}")
    axes.grid(True, linewidth=0.3)
    try:
        figure.savefig(path)
    except OSError as error:
        raise InputError(f"cannot write --plot {path}: {error.strerror}") from error
