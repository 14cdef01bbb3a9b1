"""What pruning did to a model, as a table, CSV or JSON: pure functions."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from typing import Any, TextIO

from sparsebench.models.problems import Combination, shape_text
from sparsebench.models.prune import Pruned
from sparsebench.report import tables_renderer
from sparsebench.report.cells import Cell, Row, Table, shortened
from sparsebench.report.what_if_notes import NAME_WIDTH

FORMATS = ("console", "markdown", "csv", "json")
COLUMNS = ("layers", "operator", "shape", "pattern", "density", "nnz", "weights", "kept_l1", "kept_l2", "reason")


def write(form: str, name: str, found: Sequence[Pruned], wanted: Combination, stream: TextIO) -> None:
    """Write what became of each tensor of a model in one of `FORMATS`."""
    if form == "csv":
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | {"layers": ";".join(row["layers"])} for row in rows(found, wanted))
    elif form == "json":
        json.dump(rows(found, wanted), stream, indent=1)
        stream.write("\n")
    else:
        tables_renderer(form)([table(name, found, wanted)], stream)


def rows(found: Sequence[Pruned], wanted: Combination) -> list[dict[str, Any]]:
    """Return a row for each tensor, its keys being `COLUMNS`."""
    return [
        {
            "layers": [layer.name for layer in entry.layers],
            "operator": entry.first.operator,
            "shape": shape_text(entry.first),
            "pattern": None if entry.mask is None else str(wanted.pattern),
            "density": entry.density,
            "nnz": entry.first.size if entry.mask is None else entry.mask.nnz,
            "weights": entry.first.size,
            "kept_l1": None if entry.kept is None else entry.kept.l1,
            "kept_l2": None if entry.kept is None else entry.kept.l2_squared,
            "reason": entry.reason,
        }
        for entry in found
    ]


def table(name: str, found: Sequence[Pruned], wanted: Combination) -> Table:
    """Return the table of a model called `name`."""
    weights = sum(entry.first.size for entry in found)
    left = sum(entry.first.size if entry.mask is None else entry.mask.nnz for entry in found)
    dense = [entry for entry in found if entry.mask is None]
    reasons: dict[str, list[Pruned]] = {}
    for entry in dense:
        reasons.setdefault(entry.reason, []).append(entry)
    return Table(
        title=f"{name}, pruned to {wanted.label}",
        subtitle="the share of weights left, and of their L1 and squared L2 norms",
        labels=("layer", "shape"),
        columns=("uses", "left", "kept L1", "kept L2"),
        rows=tuple(_row(entry) for entry in found),
        notes=(
            f"{len(found) - len(dense)} of {len(found)} weight tensors pruned; {left:,} of their {weights:,} weights"
            f" left ({left / weights:.1%})",
            *(f"dense: {len(entries)}, first {entries[0].first.name}: {reason}" for reason, entries in reasons.items()),
            "what the model's accuracy becomes these figures do not say",
        ),
    )


def _row(entry: Pruned) -> Row:
    labels = (shortened(entry.first.name, NAME_WIDTH), shape_text(entry.first))
    uses = Cell(f"{len(entry.layers)}x")
    if entry.kept is None:
        empty = Cell("", kind="absent")
        return Row(labels, (uses, Cell("dense", kind="absent"), empty, empty))
    return Row(
        labels,
        (uses, Cell(f"{entry.density:.2%}"), Cell(f"{entry.kept.l1:.3f}"), Cell(f"{entry.kept.l2_squared:.3f}")),
    )
