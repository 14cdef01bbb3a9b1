"""Break-evens as tables for people and as CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from typing import TextIO

from sparsebench.report.break_even import BreakEven, Place
from sparsebench.report.cells import Cell, Row, Table, machine_labels, mark_best, split
from sparsebench.report.frame import Record, sparsity_text, variant_label
from sparsebench.report.metrics import number
from sparsebench.report.problem_table import size_head

_COLUMNS = (
    "run", "suite", "op", "shape", "pattern", "N", "threads", "level", "kernel", "verdict", "break_even_density",
    "break_even_low", "break_even_high", "density", "best_dense", "speedup_over_dense", "calls_to_amortise",
)  # fmt: skip


def tables(found: Sequence[BreakEven]) -> list[Table]:
    """Make two tables for each suite, pattern and thread count: break-evens, and what each density brings."""
    made: list[Table] = []
    by_record = {id(item.record): item for item in found}
    for records in split([item.record for item in found], _setting):
        part = [by_record[id(record)] for record in records]
        made += [_break_evens(part), _amortisation(part)]
    return made


def _setting(record: Record) -> tuple[object, ...]:
    names = ("run", "suite", "op", "threads", "level")
    return (*(record.get(name) for name in names), variant_label(record))


def _title(record: Record, what: str) -> str:
    parts = [
        record.get("run"),
        record["suite"],
        what,
        f"{record['op']} {variant_label(record)}",
        *machine_labels(record),
    ]
    return ", ".join(str(part) for part in parts if part)


def _labels(record: Record) -> tuple[str, str]:
    return record["shape"] or f"{record['M']}x{record['K']}", str(record["N"])


def _by_row(part: Sequence[BreakEven]) -> dict[tuple[str, str], dict[str, BreakEven]]:
    rows: dict[tuple[str, str], dict[str, BreakEven]] = {}
    for item in part:
        rows.setdefault(_labels(item.record), {})[item.kernel] = item
    return rows


def limit_text(density: float, places: Sequence[Place]) -> str:
    """Return a density as the sparsity that it is, or as beyond the measured ones."""
    if density == 0:
        return f">{sparsity_text(places[-1].density)}"
    if math.isinf(density):
        return f"<{sparsity_text(places[0].density)}"
    return f"{100 * (1 - density):.3g}%"


def interval_text(item: BreakEven) -> str:
    """Return the interval from the least to the most sparse; "" where it says no more than the value."""
    if item.low is None or item.high is None:
        return "(?)"
    low, high = limit_text(item.high, item.places), limit_text(item.low, item.places)
    return "" if low == high == limit_text(item.density, item.places) else f"({low} to {high})"


def _break_evens(part: Sequence[BreakEven]) -> Table:
    first = part[0].record
    kernels = list(dict.fromkeys(item.kernel for item in part))
    rows = []
    for labels, items in _by_row(part).items():
        cells = [_cell(items.get(kernel)) for kernel in kernels]
        values = [items[k].density or None if k in items else None for k in kernels]
        rows.append(Row(labels, mark_best(cells, values, "max")))
    return Table(
        title=_title(first, "break-even"),
        subtitle="sparsity from which a kernel is faster than the best dense one (95% interval)",
        labels=(size_head(first), "N"),
        columns=tuple(kernels),
        rows=tuple(rows),
        notes=(
            "*: pays first; <: already at the densest that was measured; >: not even at the sparsest;"
            " (?): too few rounds for an interval",
            f"best dense: {', '.join(dict.fromkeys(place.dense for item in part for place in item.places))}",
        ),
    )


def _cell(item: BreakEven | None) -> Cell:
    if item is None:
        return Cell("", kind="absent")
    kind = "absent" if item.verdict == "not reached" else "value"
    return Cell(limit_text(item.density, item.places), interval_text(item), kind=kind)  # type: ignore[arg-type]


def _amortisation(part: Sequence[BreakEven]) -> Table:
    first = part[0].record
    kernels = list(dict.fromkeys(item.kernel for item in part))
    rows = []
    for labels, items in _by_row(part).items():
        densities = sorted({place.density for item in items.values() for place in item.places}, reverse=True)
        for density in densities:
            places = [_at(items.get(kernel), density) for kernel in kernels]
            cells = [_place_cell(place) for place in places]
            marked = mark_best(cells, [place.speedup if place else None for place in places], "max")
            rows.append(Row((*labels, sparsity_text(density)), marked))
    return Table(
        title=_title(first, "speed-up over the best dense kernel"),
        subtitle="and after how many calls the time to prepare the sparse weights is won back",
        labels=(size_head(first), "N", "sparsity"),
        columns=tuple(kernels),
        rows=tuple(rows),
        notes=("*: the best; in brackets calls, nothing being counted for preparing the dense kernel; (-): never",),
    )


def _at(item: BreakEven | None, density: float) -> Place | None:
    return next((place for place in item.places if place.density == density), None) if item else None


def _place_cell(place: Place | None) -> Cell:
    if place is None:
        return Cell("", kind="absent")
    return Cell(number(place.speedup), "(-)" if place.calls is None else f"({math.ceil(place.calls):,})")


def write_csv(found: Sequence[BreakEven], stream: TextIO) -> None:
    """Write a line for each break-even and density, with columns `_COLUMNS`.

    Densities of the break-even are 0 where it is not reached and ``inf`` where the kernel is always faster.
    """
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for item in found:
        record = item.record
        shape, N = _labels(record)
        head = [record.get("run"), record["suite"], record["op"], shape, variant_label(record), N]
        head += [record["threads"], record["level"], item.kernel, item.verdict, item.density, item.low, item.high]
        for place in item.places:
            writer.writerow([*head, place.density, place.dense, place.speedup, place.calls])
