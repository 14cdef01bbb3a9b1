"""How one kernel developed over the runs of a store: a value for each run, its change, and where the level changed."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from sparsebench.bench.stats import Interval
from sparsebench.errors import InputError, UnavailableError
from sparsebench.report import tables_renderer
from sparsebench.report.cells import Cell, Row, Table
from sparsebench.report.change_points import FEWEST, change_points
from sparsebench.report.frame import Record, to_records
from sparsebench.report.metrics import Metric
from sparsebench.report.store_tables import moment
from sparsebench.toml_tables import nearest

if TYPE_CHECKING:
    import pandas as pd

    from sparsebench.store import StoredRun

FORMATS = ("console", "markdown", "csv", "json")
_LEVELS = "▁▂▃▄▅▆▇█"
_PLAIN_LEVELS = "12345678"
# What makes cases of two runs the same: speed-ups over another baseline are other figures.
_CASE = ("problem", "threads", "level", "cache", "baseline")


@dataclass(frozen=True, slots=True)
class Point:
    """One run's value.

    Attributes
    ----------
    change
        Relative change since the run before; None of the first.
    begins
        Whether another level begins here.
    """

    run: StoredRun
    value: Interval
    change: float | None
    begins: bool


@dataclass(frozen=True, slots=True)
class History:
    """A metric of one kernel over runs, the oldest first.

    Attributes
    ----------
    cases
        How many cases each value is merged from, the same in all runs.
    baseline
        What speed-ups are over.
    notes
        Runs that are left out, and why change points are not told.
    """

    kernel: str
    metric: Metric
    cases: int
    baseline: str
    points: tuple[Point, ...]
    notes: tuple[str, ...]


def history(
    runs: Sequence[StoredRun], frame: pd.DataFrame, kernel: str, metric: Metric, known: Sequence[str] = ()
) -> History:
    """Follow a kernel through runs, over the cases that the newest run with any of them has.

    Parameters
    ----------
    runs
        Of one machine, the oldest first.
    frame
        The chosen cases of the kernel, of any runs: ``run``, and `sparsebench.results.COLUMNS`.
    known
        Names of the kernels that there are, for the error.

    Raises
    ------
    InputError
        If no run has a value, or each is 1 since the kernel is the baseline.
    """
    found: dict[str, dict[tuple[Any, ...], Record]] = {}
    for record in to_records(frame):
        if record["status"] == "ok" and record[metric.column] is not None:
            found.setdefault(record["run"], {}).setdefault(tuple(record[name] for name in _CASE), record)
    with_values = [run for run in runs if run.id in found]
    if not with_values:
        hint = nearest(kernel, list(known)) if kernel not in known else ""
        raise InputError(f"no run of this machine has a value of '{metric.column}' of kernel '{kernel}' there{hint}")
    newest = found[with_values[-1].id]
    baselines = sorted({record["baseline"] for record in newest.values()})
    if metric.column == "speedup" and baselines == [kernel]:
        raise InputError(f"'{kernel}' is itself the baseline that speed-ups are over; try --metric median")
    whole = [run for run in with_values if newest.keys() <= found[run.id].keys()]
    values = [_merge(metric, [found[run.id][case] for case in newest]) for run in whole]
    notes = []
    if left_out := len(with_values) - len(whole):
        notes.append(f"{left_out} run{'s' if left_out > 1 else ''} left out, without all cases of the newest")
    begin: list[int] = []
    try:
        begin = change_points([value.estimate for value in values])
        if len(values) < FEWEST:
            notes.append(f"change points: from {FEWEST} runs on")
    except UnavailableError as error:
        notes.append(str(error))
    before = [None, *(value.estimate for value in values)]
    points = [
        Point(run, value, value.estimate / last - 1 if last else None, number in begin)
        for number, (run, value, last) in enumerate(zip(whole, values, before, strict=False))
    ]
    return History(kernel, metric, len(newest), ", ".join(baselines), tuple(points), tuple(notes))


def _merge(metric: Metric, records: Sequence[Record]) -> Interval:
    """Return one value of several cases; its limits are those of the cases, merged alike, which is wide enough.

    `sparsebench.bench.over_cases` says why.
    """
    low, estimate, high = zip(*(metric.of(record) for record in records), strict=True)
    limits = [None if None in limit else metric.merge(limit) for limit in (low, high)]
    return Interval(limits[0], metric.merge(estimate), limits[1])


def sparkline(values: Sequence[float], *, plain: bool = False) -> str:
    """Return a letter for each value, the higher the larger; digits where `plain`."""
    levels = _PLAIN_LEVELS if plain else _LEVELS
    least, span = min(values), max(values) - min(values)
    return "".join(levels[round((value - least) / span * (len(levels) - 1)) if span else 0] for value in values)


def write(found: History, stream: TextIO, form: str) -> None:
    """Write a history.

    Raises
    ------
    InputError
        If the format is not known.
    """
    if form not in FORMATS:
        raise InputError(f"--format '{form}' is not known; known: {', '.join(FORMATS)}")
    if form == "csv":
        writer = csv.DictWriter(stream, list(_row(found, found.points[0])), lineterminator="\n")
        writer.writeheader()
        writer.writerows(_row(found, point) for point in found.points)
    elif form == "json":
        json.dump([_row(found, point) for point in found.points], stream, indent=1, allow_nan=False)
        stream.write("\n")
    else:
        encoding = stream.encoding or "utf-8"
        tables_renderer(form)([_table(found, plain=not encoding.lower().startswith("utf"))], stream)


def _row(found: History, point: Point) -> Mapping[str, Any]:
    return {
        "run": point.run.id,
        "started": point.run.started,
        "git_commit": point.run.git_commit,
        "version": point.run.version,
        "kernel": found.kernel,
        "cases": found.cases,
        "metric": found.metric.column,
        "value": point.value.estimate,
        "low": point.value.low,
        "high": point.value.high,
        "change": point.change,
        "begins": point.begins,
    }


def _table(found: History, *, plain: bool) -> Table:
    metric = found.metric
    merged = f"{metric.merged} of {found.cases} cases" if found.cases > 1 else "one case"
    return Table(
        title=f"{found.kernel}: {metric.title.format(baseline=found.baseline)}, {merged}",
        subtitle=sparkline([point.value.estimate for point in found.points], plain=plain),
        labels=("started (UTC)", "run", "commit", "version"),
        columns=("value", "change", "level"),
        rows=tuple(_line(point, metric) for point in found.points),
        notes=found.notes,
    )


def _line(point: Point, metric: Metric) -> Row:
    low, high = point.value.low, point.value.high
    detail = "" if low is None or high is None else f"{metric.show(low)}..{metric.show(high)}"
    change = Cell("", kind="absent") if point.change is None else Cell(f"{100 * point.change:+.1f}%")
    begins = Cell("changed") if point.begins else Cell("", kind="absent")
    run = point.run
    labels = (moment(run.started), run.id, (run.git_commit or "")[:10], run.version)
    return Row(labels, (Cell(metric.show(point.value.estimate), detail), change, begins))
