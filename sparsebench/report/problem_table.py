"""Tables with a row per problem and a column per kernel."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from sparsebench.report import notes
from sparsebench.report.cells import Cell, Row, Table, machine_labels, mark_best, metric_cell, shown_kernels
from sparsebench.report.frame import Record, pattern_label, sparsity_text
from sparsebench.report.kernel_kinds import in_float32
from sparsebench.report.metrics import METRICS, Metric

# How a facet that all problems of a table share is said in its title.
_IN_TITLE = {"sparsity": "{} sparse", "X": "X {} dense", "cache": "{} cache", "layout": "{} X and Y", "seed": "seed {}"}


def problem_table(records: Sequence[Record], metric: Metric) -> Table:
    """Make the table of one suite, pattern, thread count and level; what all problems share goes into its title."""
    first = records[0]
    facets = {r["problem"]: _facets(r) for r in records}
    shared = {name: text for name, text in _facets(first).items() if all(f[name] == text for f in facets.values())}
    always = (size_head(first), "N")
    heads = [*always, *(name for name in _facets(first) if name not in shared and name not in always)]
    weights = list(dict.fromkeys(f["weights"] for f in facets.values()))
    kernels = shown_kernels(records)
    cases = {(r["problem"], r["kernel"]): r for r in records}
    rows, places = [], {}
    for problem, facet in facets.items():
        labels = [f"W{weights.index(facet[name]) + 1}" if name == "weights" else facet[name] for name in heads]
        places[problem] = " ".join([labels[0], f"N={labels[1]}", *labels[2:]])
        rows.append(Row(tuple(labels), _cells([cases.get((problem, kernel)) for kernel in kernels], metric)))
    title = [
        first.get("run"),
        first["suite"],
        f"{first['op']} {pattern_label(first)}",
        *(form.format(shared[name]) for name, form in _IN_TITLE.items() if shared.get(name)),
        *machine_labels(first),
    ]
    subtitle = metric.title.format(baseline=first["baseline"])
    if metric.column == "speedup":
        subtitle += ", whose own column is its time per call"
    return Table(
        title=", ".join(str(part) for part in title if part),
        subtitle=subtitle,
        labels=tuple("W" if head == "weights" else head for head in heads),
        columns=tuple(kernels),
        rows=tuple(rows),
        pinned=int(kernels[:1] == [first["baseline"]]),
        notes=(*notes.sources(weights), *notes.troubles(records, places)),
    )


def size_head(record: Record) -> str:
    """Return what the column of sizes is called: a product's are M x K, a convolution's are a layer."""
    return "M x K" if record["op"] == "matmul" else "layer"


def _facets(record: Record) -> dict[str, str]:
    """Return what tells a problem from others of its table; "" where a facet has its default."""
    seed = re.search(r";seed=(\d+)", record["problem"])
    return {
        size_head(record): record["shape"] or f"{record['M']}x{record['K']}",
        "N": str(record["N"]),
        "sparsity": sparsity_text(record["density"]),
        "X": "" if record["act_density"] == 1 else f"{100 * record['act_density']:.3g}%",
        "cache": "" if record["cache"] == "warm" else record["cache"],
        "layout": "" if record["layout"] == "row" else record["layout"],
        "seed": seed[1] if seed else "",
        "weights": "" if record["weights"] == "random" else record["weights"],
    }


def _value(case: Record | None, metric: Metric) -> float | None:
    """Return a case's value of the metric, which only a case that is ok has."""
    if case is None or case["status"] != "ok":
        return None
    value: float | None = case[metric.column]
    return value


def _cells(cases: Sequence[Record | None], metric: Metric) -> tuple[Cell, ...]:
    """Return the cells of one problem, one per kernel, the best marked."""
    compared = metric
    if metric.column == "speedup" and all(_value(case, metric) is None for case in cases):
        # The baseline has no time, so there are no ratios: times are shown and compared.
        compared = METRICS["median"]
    # In bfloat16 one may be faster, but not at the same thing.
    values = [_value(case, compared) if case and in_float32(case["kernel"]) else None for case in cases]
    return mark_best([_cell(case, metric) for case in cases], values, compared.better)


def _cell(case: Record | None, metric: Metric) -> Cell:
    if case is None or case["status"] != "ok" or metric.column != "speedup":
        return metric_cell(case, metric)
    if case["speedup"] is None or case["kernel"] == case["baseline"]:
        return replace(metric_cell(case, METRICS["median"]), kind="absolute")
    return metric_cell(case, metric)
