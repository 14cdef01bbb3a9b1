"""One chart of a run: a metric over one of the problem's columns, a line for each kernel and pattern (matplotlib)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from sparsebench.errors import InputError, UnavailableError
from sparsebench.report import metrics
from sparsebench.report.frame import pattern_label, to_records

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".svg", ".png", ".pdf")
INSTALL = "pip install 'sparsebench[plot]'"
# Okabe and Ito 2008, "Color Universal Design": told apart by colour-blind eyes.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "os^Dv<>"


def lines(frame: pd.DataFrame, metric: metrics.Metric, x: str) -> dict[str, pd.Series[Any]]:
    """Return for each "kernel, pattern" the metric over `x`, several cases of one point merged.

    Raises
    ------
    InputError
        If there is no such column of numbers, or no case has the metric.
    """
    if x not in frame or not pd.api.types.is_numeric_dtype(frame[x]):
        raise InputError(f"--plot '{x}' is not a column of numbers, such as N, M, K, density or threads")
    known = frame[(frame["status"] == "ok") & frame[metric.column].notna()]
    if known.empty:
        raise InputError(f"no case has a value of '{metric.column}'")
    # The baseline multiplies whatever the pattern leaves: one line.
    labels = [
        r["kernel"] if r["kernel"] == r["baseline"] else f"{r['kernel']}, {pattern_label(r)}" for r in to_records(known)
    ]
    found: dict[str, pd.Series[Any]] = {}
    for label, part in known.groupby(labels, sort=False):
        found[str(label)] = part.groupby(x)[metric.column].agg(lambda values: metric.merge(list(values)))
    return found


def draw(frame: pd.DataFrame, metric: metrics.Metric, x: str, path: Path) -> None:
    """Write the chart to `path`; its suffix says the kind of file.

    Raises
    ------
    InputError
        If the suffix is not one of `SUFFIXES`, the file cannot be written, or `lines` finds nothing.
    UnavailableError
        If matplotlib is not installed; names the command that installs it.
    """
    if path.suffix not in SUFFIXES:
        raise InputError(f"--output {path}: a plot ends in {', '.join(SUFFIXES)}")
    found = lines(frame, metric, x)
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UnavailableError(f"plots need matplotlib: {INSTALL}") from None
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for number, (label, values) in enumerate(found.items()):
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number // len(COLOURS) % len(MARKERS)]
        axes.plot(values.index, values, label=label, color=colour, marker=marker, markersize=3, linewidth=1.2)
    _dress(axes, frame, metric, x)
    figure.legend(loc="outside right center", fontsize="small")
    try:
        figure.savefig(path)
    except OSError as error:
        raise InputError(f"cannot write --output {path}: {error.strerror}") from error


def _dress(axes: Axes, frame: pd.DataFrame, metric: metrics.Metric, x: str) -> None:
    first = frame.iloc[0]
    axes.set_yscale("log")
    axes.set_xlabel(x)
    axes.set_ylabel(metric.title.format(baseline=first["baseline"]))
    axes.yaxis.set_major_formatter(lambda value, _: metric.show(value))
    axes.set_title(f"{', '.join(frame['suite'].unique())}: {', '.join(_shapes(frame))}")
    axes.grid(True, which="both", linewidth=0.3)


def _shapes(frame: pd.DataFrame) -> list[str]:
    return [f"{M} x {K}" for M, K in frame[["M", "K"]].drop_duplicates().itertuples(index=False)]
