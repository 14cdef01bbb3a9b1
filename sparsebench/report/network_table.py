"""Tables of whole networks: inputs a second in each mode, and where the time of one input goes."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sparsebench.report import notes
from sparsebench.report.cells import Cell, Row, Table, machine_labels, mark_best, metric_cell, shown_kernels, split
from sparsebench.report.frame import Record
from sparsebench.report.metrics import METRICS, duration, rate


def network_tables(records: Sequence[Record], published: Sequence[Record]) -> list[Table]:
    """Make the tables of one network of one suite: rates by threads and batch, and layers at the least and the most.

    `published` are the suite's quoted figures; those for other networks are left out.
    """
    first = records[0]
    quoted = [entry for entry in published if entry["network"] == first["shape"]]
    runs = sorted(split(records, lambda record: (record["threads"], record["N"], record["level"])), key=_effort)
    layered = [run for run in runs if any(record["layers"] for record in run)]
    alone = [run for run in layered if run[0]["threads"] == layered[0][0]["threads"]]
    ends = [*alone[:1], *alone[1:][-1:]]
    return [_rates(runs, quoted), *map(_layers, ends)]


def _effort(run: Sequence[Record]) -> tuple[str, int, int]:
    return run[0]["level"], run[0]["threads"], run[0]["N"]


def _title(record: Record, *more: str) -> str:
    return ", ".join(
        str(part) for part in (record.get("run"), record["suite"], f"network {record['shape']}", *more) if part
    )


def _rates(runs: Sequence[Sequence[Record]], quoted: Sequence[Record]) -> Table:
    records = [record for run in runs for record in run]
    kernels = shown_kernels(records)
    baseline = records[0]["baseline"]
    ratios = [kernel for kernel in kernels if kernel != baseline]
    rows = [_rate_row(run, kernels, ratios) for run in runs]
    rows += [_quoted_row(number, entry, kernels, ratios, baseline) for number, entry in enumerate(quoted, start=1)]
    levels = list(dict.fromkeys(record["level"] for record in records))
    places = {record["problem"]: f"batch {record['N']}" for record in records}
    sources = [
        f"published {number}: {entry['what']}; {entry['source']}; not measured here"
        for number, entry in enumerate(quoted, start=1)
    ]
    return Table(
        title=_title(records[0], *levels),
        subtitle=f"inputs a second in each mode, and speed-up over {baseline}",
        labels=("threads", "batch"),
        columns=(*kernels, *(f"{kernel} / {baseline}" for kernel in ratios)),
        rows=tuple(rows),
        notes=(*sources, *notes.troubles(records, places)),
    )


def _rate_row(run: Sequence[Record], kernels: Sequence[str], ratios: Sequence[str]) -> Row:
    cases = {record["kernel"]: record for record in run}
    shown = [metric_cell(cases.get(kernel), METRICS["items_per_s"]) for kernel in kernels]
    values = [cases[kernel]["items_per_s"] if kernel in cases else None for kernel in kernels]
    cells = mark_best(shown, values, "max")
    return Row(
        (str(run[0]["threads"]), str(run[0]["N"])),
        (*cells, *(metric_cell(cases.get(kernel), METRICS["speedup"]) for kernel in ratios)),
    )


def _quoted_row(number: int, entry: Record, kernels: Sequence[str], ratios: Sequence[str], baseline: str) -> Row:
    rates = entry["items_per_s"]
    over = rates.get(baseline)
    shown = [rate(rates[kernel]) if kernel in rates else "" for kernel in kernels]
    shown += [METRICS["speedup"].show(rates[kernel] / over) if over and kernel in rates else "" for kernel in ratios]
    return Row((f"published {number}", ""), tuple(Cell(text, kind="absolute") for text in shown))


def _layers(run: Sequence[Record]) -> Table:
    """Time of each stage for one input, by mode; beside it what reached it and what was left to multiply."""
    first = run[0]
    kernels = shown_kernels(run)
    stages = {r["kernel"]: json.loads(r["layers"]) for r in run if r["layers"]}
    kernels = [kernel for kernel in kernels if kernel in stages]
    last = stages[kernels[-1]]
    rows = []
    for place, stage in enumerate(last):
        if not any(stages[kernel][place]["seconds"] for kernel in kernels):
            # Nothing is done: the same numbers under another shape.
            continue
        times = [stages[kernel][place] for kernel in kernels]
        seconds = [row["seconds"] / row["inputs"] for row in times]
        cells = [Cell(duration(value), row["kernel"]) for value, row in zip(seconds, times, strict=True)]
        marked = mark_best(cells, seconds, "min") if stage["macs"] else tuple(cells)
        rows.append(Row((" + ".join(stage["names"]), f"{stage['reached']:.0%}", _count(stage["macs"])), marked))
    totals = [sum(row["seconds"] / row["inputs"] for row in stages[kernel]) for kernel in kernels]
    rows.append(Row(("all", "", _count(sum(row["macs"] for row in last))), tuple(Cell(duration(t)) for t in totals)))
    return Table(
        title=_title(first, f"batch {first['N']}", *machine_labels(first)),
        subtitle="time of each layer for one input, one thread's part timed step by step, and what multiplied",
        labels=("layer", "input not zero", "MACs left"),
        columns=tuple(kernels),
        rows=tuple(rows),
    )


def _count(macs: int) -> str:
    return f"{macs:,}" if macs else ""
