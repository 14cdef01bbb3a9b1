"""What a model would gain as CSV and JSON: pure functions of what `sparsebench.report.what_if` found."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from sparsebench.bench.stats import Interval
from sparsebench.models.amdahl import interval
from sparsebench.report.what_if import EngineTime, Setting, Shape, Whole, record_of

COLUMNS = (
    "layers", "operator", "shape", "N", "uses", "threads", "level", "pattern", "sparsity", "density_reached",
    "dense_kernel", "dense_s", "kernel", "sparse_s", "speedup", "speedup_ci_low", "speedup_ci_high", "kept_l1",
    "kept_l2", "engine_s", "reason",
)  # fmt: skip


def rows(found: Sequence[Setting], run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each shape, combination and thread count, its keys being `COLUMNS`."""
    made = []
    for setting in found:
        for shape in setting.shapes:
            for entry in record_of(run)["combinations"]:
                head = (
                    ";".join(shape.record["layers"]), shape.record["operator"], shape.record["text"],
                    shape.record["columns"], shape.uses, setting.threads, setting.level, entry["pattern"],
                )  # fmt: skip
                made.append(dict(zip(COLUMNS, (*head, *_values(shape, entry)), strict=True)))
    return made


def _values(shape: Shape, entry: Mapping[str, Any]) -> tuple[Any, ...]:
    choice = shape.choices.get(entry["label"])
    dense_s = float(shape.dense_s[0])
    if choice is None:
        sparsity = None if entry["density"] is None else round(1 - entry["density"], 12)
        empty = (None,) * 7
        return (sparsity, None, shape.dense, dense_s, *empty, shape.engine_s, shape.reasons.get(entry["label"], ""))
    case, speedup = choice.case, choice.interval
    reached = None if case.nnz is None else case.nnz / (case.M * case.K)
    return (
        round(1 - case.density, 12), reached, choice.dense.kernel, dense_s, case.kernel, dense_s / speedup.estimate,
        speedup.estimate, speedup.low, speedup.high, case.kept_l1, case.kept_l2, shape.engine_s, "",
    )  # fmt: skip


def write_csv(run: Mapping[str, Any], found: Sequence[Setting], stream: TextIO) -> None:
    """Write `rows`."""
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(found, run))


def write_json(run: Mapping[str, Any], found: Sequence[Setting], stream: TextIO) -> None:
    """Write an object: the rows, the whole model by combination, and the engine's time with its shares."""
    settings = [
        {
            "threads": setting.threads,
            "level": setting.level,
            "layers": setting.layers,
            "dense_s": setting.dense_s,
            "explained": setting.explained,
            "engine": setting.engine and _engine_json(setting.engine),
            "wholes": [_whole_json(whole) for whole in setting.wholes],
        }
        for setting in found
    ]
    model = record_of(run)
    head = {key: model[key] for key in ("address", "format", "inputs", "left_out", "skipped", "notes")}
    missing = model["engine"].get("missing")
    json.dump(
        {"model": head, "engine_missing": missing, "settings": settings, "rows": rows(found, run)}, stream, indent=1
    )
    stream.write("\n")


def _engine_json(engine: EngineTime) -> dict[str, Any]:
    return {
        "version": engine.version,
        "seconds": _limits(interval(engine.seconds)),
        "visits_s": list(engine.visits),
        "measured_share": engine.share.measured,
        "other_shares": engine.share.others,
    }


def _whole_json(whole: Whole) -> dict[str, Any]:
    gain = whole.gain
    found = {
        name: getattr(gain, name) for name in ("before_s", "after_s", "layers", "model_s", "amdahl", "over_engine")
    }
    return {
        "pattern": whole.pattern,
        "sparsity": None if whole.density is None else round(1 - whole.density, 12),
        "sparse_layers": whole.sparse,
        "kept_l2": whole.kept_l2,
        **{name: None if value is None else _limits(value) for name, value in found.items()},
    }


def _limits(found: Interval) -> list[float | None]:
    """Return [low, estimate, high]."""
    return [found.low, found.estimate, found.high]
