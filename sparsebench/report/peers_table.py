"""The best rival against ours as tables for people and as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TextIO

from sparsebench.bench.stats import geomean, half_width
from sparsebench.report.cells import Cell, Row, Table, machine_labels, split
from sparsebench.report.frame import Record, sparsity_text, variant_label
from sparsebench.report.metrics import duration, number
from sparsebench.report.peers import Best, Contest
from sparsebench.report.problem_table import size_head

_COLUMNS = (
    "run", "suite", "op", "shape", "pattern", "N", "density", "threads", "level", "dense_rival", "dense_rival_s",
    "sparse_rival", "sparse_rival_s", "sparse_rival_speedup", "ours", "ours_s", "over_dense", "over_dense_low",
    "over_dense_high", "over_sparse",
)  # fmt: skip


def tables(found: Sequence[Contest], notes: Sequence[str] = ()) -> list[Table]:
    """Make a table for each suite, op, pattern, sparsity and thread count; `notes` are said below the last."""
    by_record = {id(contest.record): contest for contest in found}
    parts = split([contest.record for contest in found], _setting)
    made = [_table([by_record[id(record)] for record in part]) for part in parts]
    return [*made[:-1], replace(made[-1], notes=(*made[-1].notes, *notes))] if made else []


def _setting(record: Record) -> tuple[object, ...]:
    # Networks have patterns and densities of their own each.
    density = record["density"] if record["op"] != "network" else None
    return (*(record.get(name) for name in ("run", "suite", "op", "threads", "level")), variant_label(record), density)


def _table(contests: Sequence[Contest]) -> Table:
    first = contests[0].record
    about = f"{first['op']} {variant_label(first)} {sparsity_text(first['density'])}"
    about = "networks" if first["op"] == "network" else about
    parts = [first.get("run"), first["suite"], about, *machine_labels(first)]
    return Table(
        title=", ".join(str(part) for part in parts if part),
        subtitle="best dense rival: its time; best sparse rival and our best kernel: speed-ups over it",
        labels=(size_head(first), "N"),
        columns=("dense", "sparse", "ours"),
        rows=tuple(_row(contest) for contest in contests),
        notes=tuple(_means(contests)),
    )


def _row(contest: Contest) -> Row:
    record = contest.record
    labels = record["shape"] or f"{record['M']}x{record['K']}", str(record["N"])
    dense = Cell(duration(contest.dense.seconds), contest.dense.kernel, kind="absolute")
    return Row(labels, (dense, _cell(contest.sparse), _cell(contest.ours)))


def _cell(best: Best | None) -> Cell:
    if best is None:
        return Cell("", kind="absent")
    width = half_width(best.speedup)
    spread = "" if width is None else f"±{100 * width:.0f}% "
    return Cell(number(best.speedup.estimate), f"{spread}{best.kernel}")


def _means(contests: Sequence[Contest]) -> Iterator[str]:
    """Say what the cases have in common; of the sparse rivals, over the problems that one takes."""
    over_dense = geomean([contest.ours.speedup.estimate for contest in contests])
    over_sparse = [ratio for contest in contests if (ratio := contest.over_sparse) is not None]
    text = f"ours: {number(over_dense)} over the best dense rival"
    if over_sparse:
        text += f", {number(geomean(over_sparse))} over the best sparse rival"
    yield f"{text} (geometric mean of {len(contests)})" if len(contests) > 1 else text


def write_csv(found: Sequence[Contest], stream: TextIO) -> None:
    """Write a line for each problem and thread count, with columns `_COLUMNS`; empty where there is no sparse rival."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for contest in found:
        record, ours, sparse = contest.record, contest.ours, contest.sparse
        shape = record["shape"] or f"{record['M']}x{record['K']}"
        theirs = (sparse.kernel, sparse.seconds, sparse.speedup.estimate) if sparse else ("", "", "")
        writer.writerow(
            [
                *(record.get("run"), record["suite"], record["op"], shape, variant_label(record), record["N"]),
                *(record["density"], record["threads"], record["level"]),
                *(contest.dense.kernel, contest.dense.seconds, *theirs, ours.kernel, ours.seconds),
                *(ours.speedup.estimate, ours.speedup.low, ours.speedup.high, contest.over_sparse),
            ]
        )
