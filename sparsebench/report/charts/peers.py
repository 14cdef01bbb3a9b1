"""The best rival against ours: three marks for each problem."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from sparsebench.bench.stats import geomean
from sparsebench.report.cells import split
from sparsebench.report.charts.facets import FACETS, group_labeller, of
from sparsebench.report.charts.model import Axis, Chart, Panel, Point, Series
from sparsebench.report.charts.style import BEST_DENSE, BEST_OURS, BEST_SPARSE
from sparsebench.report.frame import Record, sparsity_text, variant_label
from sparsebench.report.metrics import duration
from sparsebench.report.peers import Best, Contest, find

if TYPE_CHECKING:
    from sparsebench.report.loaded import Loaded

_MOST_ROWS = 30
_MOST_PANELS = 16
_ROLES: dict[str, Callable[[Contest], Best | None]] = {
    BEST_DENSE: lambda contest: contest.dense,
    BEST_SPARSE: lambda contest: contest.sparse,
    BEST_OURS: lambda contest: contest.ours,
}
# What a row may be, from most to least telling.
_ROWS: tuple[Callable[[Record], str], ...] = (
    lambda record: f"{FACETS['shape'](record)}, {FACETS['N'](record)}",
    FACETS["shape"],
    variant_label,
)


def peers(loaded: Loaded) -> Chart | None:
    """Speed-ups over the best dense rival in rows of problems, a panel for each pattern."""
    found = find(loaded)
    if not found:
        return None
    # Nothing here is over the baseline, so cases of different ones stand together.
    records = [contest.record | {"baseline": ""} for contest in found]
    by_record = {id(record): contest for record, contest in zip(records, found, strict=True)}
    label = group_labeller(records)
    return Chart(
        "peers",
        "Best rival against ours",
        "Speed-up over the best dense rival of each problem, which is at 1: of the best sparse rival, and of our best"
        " sparse kernel. Rivals are other libraries' kernels in float32. Whiskers: 95% interval, no narrower than that"
        " of the mean of the cases.",
        x=Axis("speed-up", ratio=True),
        y=Axis("", rows=("",)),
        panels=tuple(
            _panel(label(part[0]), _title(part), [by_record[id(record)] for record in part])
            for group in split(records, lambda record: (label(record),))
            for part in _parted(group)
        ),
    )


def _parted(records: Sequence[Record]) -> list[list[Record]]:
    """Part cases by op, pattern and, unless those are many, sparsity; networks have their own and stay together."""

    def kind(record: Record) -> tuple[object, ...]:
        return record["op"], variant_label(record)

    def finest(record: Record) -> tuple[object, ...]:
        return (*kind(record), None if record["op"] == "network" else record["density"])

    parts = split(records, finest)
    return parts if len(parts) <= _MOST_PANELS else split(records, kind)


def _title(part: Sequence[Record]) -> str:
    first = part[0]
    if first["op"] == "network":
        return "networks"
    densities = {record["density"] for record in part}
    return ", ".join([first["op"], variant_label(first), *map(sparsity_text, densities if len(densities) == 1 else ())])


def _panel(group: str, title: str, contests: Sequence[Contest]) -> Panel:
    row_of = next((row for row in _ROWS if len({row(c.record) for c in contests}) <= _MOST_ROWS), _ROWS[-1])
    rows = list(dict.fromkeys(row_of(contest.record) for contest in contests))
    parts = [[contest for contest in contests if row_of(contest.record) == row] for row in rows]
    series = [Series(role, tuple(_points(role, parts, rows)), role, "points") for role in _ROLES]
    return Panel(group, title, tuple(s for s in series if s.points), Axis("", rows=tuple(rows)))


def _points(role: str, parts: Sequence[Sequence[Contest]], rows: Sequence[str]) -> Iterator[Point]:
    for place, (part, row) in enumerate(zip(parts, rows, strict=True)):
        best = [found for contest in part if (found := _ROLES[role](contest)) is not None]
        # A mean over fewer problems would be of others than the marks beside it.
        if len(best) == len(part):
            yield _point(role, row, best, place)


def _point(role: str, row: str, best: Sequence[Best], place: int) -> Point:
    value = geomean([found.speedup.estimate for found in best])
    lows, highs = ([getattr(found.speedup, side) for found in best] for side in ("low", "high"))
    known = role != BEST_DENSE and None not in lows and None not in highs
    names = ", ".join(dict.fromkeys(found.kernel for found in best))
    time = f", {duration(best[0].seconds)}" if len(best) == 1 else ""
    several = of([{}] * len(best))
    tip = f"{row}: {role} {names}{time}, {value:.3g}x{several}"
    return Point(value, place, geomean(lows) if known else None, geomean(highs) if known else None, tip)
