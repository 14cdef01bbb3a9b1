"""What a format costs besides its time: preparing the weights, and the bytes they take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sparsebench.bench.stats import geomean
from sparsebench.report.cells import split
from sparsebench.report.charts.facets import by_kernel, group_labeller, of
from sparsebench.report.charts.model import Axis, Chart, Panel, Point, Series
from sparsebench.report.frame import Record, variant_label

if TYPE_CHECKING:
    from sparsebench.report.loaded import Loaded

_RANGE = "Geometric mean over the problems of a pattern; whiskers reach from the least to the most of them."


def prepare_time(loaded: Loaded) -> Chart | None:
    """Seconds to pack the weights, for each element of W."""
    return _costs(
        loaded,
        "prepare_s",
        lambda r: r["prepare_s"] / (r["M"] * r["K"]),
        lambda value: f"{1e9 * value:.3g} ns",
        ("prepare", "Time to prepare the weights", "time for each element of W, zeros included"),
    )


def packed_size(loaded: Loaded) -> Chart | None:
    """Packed bytes, indices included, over those of the dense matrix."""
    return _costs(
        loaded,
        "packed_bytes",
        lambda r: r["packed_bytes"] / (4 * r["M"] * r["K"]),
        lambda value: f"{100 * value:.3g}%",
        ("bytes", "Bytes of the packed weights", "share of the dense float32 matrix, indices included"),
    )


def _costs(
    loaded: Loaded,
    column: str,
    value: Callable[[Record], float],
    show: Callable[[float], str],
    words: tuple[str, str, str],
) -> Chart | None:
    # A network's M and K are not those of its weights.
    records = [r for r in loaded.records if r["status"] == "ok" and r[column] and r["op"] != "network"]
    if not records:
        return None
    label = group_labeller(records)
    parts = split(records, lambda record: (label(record),))
    name, title, axis = words
    return Chart(
        name,
        title,
        _RANGE,
        x=Axis(axis, show=show),
        y=Axis("", rows=("",)),
        panels=tuple(_panel(label(part[0]), part, value, show) for part in parts),
    )


def _panel(
    group: str, records: Sequence[Record], value: Callable[[Record], float], show: Callable[[float], str]
) -> Panel:
    rows = list(dict.fromkeys(map(variant_label, records)))
    series = []
    for kernel, cases in by_kernel(records).items():
        points = []
        for part in split(cases, lambda record: (variant_label(record),)):
            values = [value(record) for record in part]
            mean, row = geomean(values), variant_label(part[0])
            tip = f"{kernel}, {row}: {show(mean)}{of(part)}"
            points.append(Point(mean, rows.index(row), min(values), max(values), tip))
        series.append(Series(kernel, tuple(points), kernel, "points"))
    return Panel(group, "", tuple(series), Axis("", rows=tuple(rows)))
