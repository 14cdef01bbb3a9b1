"""Results as tables for people: pure functions from a frame to text, whatever it is rendered as."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sparsebench.report import notes
from sparsebench.report.aggregate import check_by
from sparsebench.report.cells import Table, split
from sparsebench.report.frame import Record, pattern_label, to_records
from sparsebench.report.merged_table import merged_table, summary
from sparsebench.report.metrics import Metric, find
from sparsebench.report.network_table import network_tables
from sparsebench.report.problem_table import problem_table

if TYPE_CHECKING:
    import pandas as pd


def make_tables(frame: pd.DataFrame, metric: str = "speedup", by: Sequence[str] = ()) -> list[Table]:
    """Turn results into tables; what holds for all of them is in the notes of the last.

    Without `by`: a table per suite, pattern and thread count, rows problems, columns kernels, for networks those of
    `network_tables`; then summaries. With
    it: a row per combination of these columns, its cells merged over the problems that share them.

    Parameters
    ----------
    frame
        Columns `sparsebench.results.COLUMNS`, and ``run`` where it holds several runs; at least one row.
    metric
        A key of `sparsebench.report.metrics.METRICS`.

    Raises
    ------
    InputError
        If the metric or a column is not known.
    """
    quantity = find(metric)
    records = to_records(frame)
    if by:
        check_by(by, frame.columns)
        tables = [merged_table(part, quantity, by) for part in split(records, _mergeable(quantity, by))]
    else:
        networks, others = [], records
        if metric == "speedup":
            networks = [record for record in records if record["op"] == "network"]
            others = [record for record in records if record["op"] != "network"]
        tables = [problem_table(part, quantity) for part in split(others, _setting)]
        for part in split(networks, lambda record: (record.get("run"), record["suite"], record["shape"])):
            tables += network_tables(part, frame.attrs.get("published", []))
        tables += [summary(part, quantity) for part in split(records, _machine_setting)]
    closing = (*notes.legend(tables, records), *notes.general(records, frame.attrs.get("warnings", [])))
    return [*tables[:-1], replace(tables[-1], notes=(*tables[-1].notes, *closing))]


def _machine_setting(record: Record) -> tuple[object, ...]:
    return tuple(record.get(name) for name in ("run", "suite", "threads", "level", "baseline"))


def _setting(record: Record) -> tuple[object, ...]:
    return (*_machine_setting(record), record["op"], pattern_label(record))


def _mergeable(metric: Metric, by: Sequence[str]) -> Callable[[Record], tuple[object, ...]]:
    """Ratios over different baselines have no common mean; runs are merged only where the user says so."""
    return lambda record: (
        record["baseline"] if metric.column == "speedup" else None,
        None if "run" in by else record.get("run"),
    )
