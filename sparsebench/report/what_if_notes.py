"""What is said below the tables of a model: why layers stay dense, what was not measured, what the times add up to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sparsebench.report.cells import shortened
from sparsebench.report.metrics import duration
from sparsebench.report.what_if import EXPLAINED, EngineTime, Setting, Shape

NAME_WIDTH = 22


def reasons(setting: Setting, entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say of each pattern why some layers cannot have it; in the whole model they stay dense."""
    lines = []
    for entry in entries:
        reasons: dict[str, int] = {}
        for shape in setting.shapes:
            if entry["label"] in shape.reasons:
                reason = shape.reasons[entry["label"]]
                reasons[reason] = reasons.get(reason, 0) + shape.uses
        lines += [
            f"-: {entry['pattern']}, {_layers(count)}: {reason}; dense in the whole model"
            for reason, count in reasons.items()
        ]
    return lines


def uneven(setting: Setting) -> list[str]:
    """Say which layers have padding that `sparsebench.models.problems.convolution` makes a part of the input."""
    names = [shape.record["layers"][0] for shape in setting.shapes if shape.record["uneven_padding"]]
    if not names:
        return []
    more = f" and {len(names) - 1} more shapes" if len(names) > 1 else ""
    return [f"padding that differs from side to side is measured as part of the input: {names[0]}{more}"]


def explained(setting: Setting, engine: EngineTime) -> list[str]:
    """Say how much of the engine's time the measured dense layers add up to, and what is missing otherwise."""
    share = setting.explained
    assert share is not None
    line = (
        f"the dense layers measured here take {duration(setting.dense_s)}, {share:.0%} of the engine's"
        f" {duration(float(engine.seconds[0]))}; its profile gives them {engine.share.measured:.0%}"
    )
    if abs(share - 1) <= EXPLAINED:
        return [line]
    others = ", ".join(f"{name} {part:.0%}" for name, part in list(engine.share.others.items())[:5])
    missing = [f"{line}; not measured: {others}"] if share < 1 else [f"{line}: it is faster at them"]
    off = sorted(setting.shapes, key=lambda shape: -abs(_gap_s(shape)))[:3]
    told = [
        f"{shortened(shape.record['layers'][0], NAME_WIDTH)} {duration(float(shape.dense_s[0]))} here,"
        f" {duration(shape.engine_s)} there"
        for shape in off
        if shape.engine_s is not None and abs(_gap_s(shape)) > EXPLAINED * shape.engine_s * shape.uses
    ]
    return [*missing, *([f"layers that differ most: {'; '.join(told)}"] if told else [])]


def _gap_s(shape: Shape) -> float:
    return 0.0 if shape.engine_s is None else shape.uses * (float(shape.dense_s[0]) - shape.engine_s)


def left_out(model: Mapping[str, Any], setting: Setting) -> list[str]:
    """Name what was not measured: layers without any pattern, layers that were not asked for, operators not ours."""
    lines = []
    measured = {name for shape in setting.shapes for name in shape.record["layers"]}
    without = [record for record in model["shapes"] if record["layers"][0] not in measured]
    if without:
        count = sum(len(record["layers"]) for record in without)
        reasons = dict.fromkeys(reason for record in without for reason in record["reasons"].values())
        lines.append(
            f"not measured, {_layers(count)}, first"
            f" {without[0]['layers'][0]} ({without[0]['text']}): {'; '.join(list(reasons)[:2]) or 'not yet'}"
        )
    if model["left_out"]:
        lines.append(f"left out by --layers or --skip: {_layers(len(model['left_out']))}")
    if model["skipped"]:
        listed = ", ".join(f"{name} {count}" for name, count in model["skipped"].items())
        lines.append(f"multiply, and are not layers that can be pruned here: {listed}")
    return lines


def _layers(count: int) -> str:
    return f"{count} layer{'s' if count > 1 else ''}"
