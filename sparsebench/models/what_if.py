"""What if a model were sparse: its distinct layers as groups of an ordinary run, and what its record says of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sparsebench import registry
from sparsebench.bench import engine
from sparsebench.bench.plan import Request, RunPlan, make_plan
from sparsebench.bench.sampler import Effort
from sparsebench.errors import InputError
from sparsebench.kernel import Kernel
from sparsebench.models.layer import Layer, Model
from sparsebench.models.problems import Alike, Combination, alike, shape_text, uneven
from sparsebench.problem import Problem
from sparsebench.suite import Group
from sparsebench.suite.expand import selects
from sparsebench.weights.names import nearest

# For a guess at how long a run takes: GFLOP/s of a dense kernel on a core, and seconds to prepare and check a problem.
_GFLOPS = 20.0
_PREPARE_S = 0.7


@dataclass(frozen=True, slots=True)
class WhatIf:
    """A run that is planned, and what its ``run.json`` will say under ``model``."""

    plan: RunPlan
    record: dict[str, Any]


def what_if(model: Model, layers: Sequence[Layer], wanted: Sequence[Combination], request: Request) -> WhatIf:
    """Plan to measure every distinct layer in every combination that it can have.

    Parameters
    ----------
    layers
        Those of the model that are to be pruned; the others count as the rest of it.
    request
        Threads, kernels, level, budget and so on; its problems are made here.

    Raises
    ------
    InputError
        If no layer can have any of the combinations, or the request is wrong.
    """
    shapes = alike(layers)
    reasons: list[dict[str, str]] = [{} for _ in shapes]
    problems: dict[tuple[int, str], Problem] = {}
    for index, shape in enumerate(shapes):
        for combination in wanted:
            try:
                problems[index, combination.label] = shape.problem(combination)
            except InputError as error:
                reasons[index][combination.label] = str(error)
    _require(problems, reasons, wanted)
    # Kernels are chosen below: a name need not be one of every op that the model has.
    plan = make_plan(replace(request, problems=tuple(dict.fromkeys(map(str, problems.values()))), kernels=None))
    others = registry.peers(plan.groups[0].level)
    _require_known(request.kernels or (), plan, others)
    unable: dict[str, str] = {}
    name = f"model-{model.path.stem}"
    groups = [
        replace(able, suite=name)
        # One thread count after the other: a worker serves all of its groups.
        for group in sorted(plan.groups, key=lambda group: group.threads)
        if (able := _able(_narrowed(group, request.kernels, plan, others), plan.kernels[group.problem.op], unable))
    ]
    for key in [key for key, problem in problems.items() if str(problem) in unable]:
        reasons[key[0]][key[1]] = unable[str(problems.pop(key))]
    _require(problems, reasons, wanted)
    record = {
        "address": model.address,
        "format": model.format,
        "inputs": [str(entry) for entry in model.inputs],
        "combinations": [
            {"label": entry.label, "pattern": str(entry.pattern), "density": entry.density} for entry in wanted
        ],
        "shapes": [
            _described(shape, {label: str(problem) for (at, label), problem in problems.items() if at == index}, why)
            for index, (shape, why) in enumerate(zip(shapes, reasons, strict=True))
        ],
        "left_out": [layer.name for layer in model.layers if layer.name not in {taken.name for taken in layers}],
        "skipped": dict(model.skipped),
        "notes": list(model.notes),
        "engine": engine_request(model),
    }
    return WhatIf(replace(plan, name=name, groups=tuple(groups)), record)


def _require(
    problems: Mapping[tuple[int, str], Problem], reasons: Sequence[dict[str, str]], wanted: Sequence[Combination]
) -> None:
    if problems:
        return
    said = {entry.label: dict.fromkeys(why[entry.label] for why in reasons if entry.label in why) for entry in wanted}
    told = "; ".join(f"{label}: {', or '.join(list(found)[:2])}" for label, found in said.items() if found)
    raise InputError(f"no layer of the model can be measured: {told}")


def _require_known(globs: Sequence[str], plan: RunPlan, peers: Collection[str]) -> None:
    ops = dict.fromkeys(group.problem.op for group in plan.groups)
    names = list(dict.fromkeys(name for op in ops for name in plan.kernels[op]))
    for glob in globs:
        if not any(selects(name, glob, peers) for name in names):
            raise InputError(f"--kernels: kernel '{glob}' is none for the model's layers; {nearest(glob, names)}")


def _narrowed(group: Group, globs: Sequence[str] | None, plan: RunPlan, peers: Collection[str]) -> Group:
    """Return the group with the kernels that a glob selects, peers too, and its baseline."""
    if globs is None:
        return group
    known = plan.kernels[group.problem.op]
    taken = (n for n in known if n == group.baseline or any(selects(n, glob, peers) for glob in globs))
    return replace(group, kernels=tuple(taken))


def _able(group: Group, known: Mapping[str, Kernel], unable: dict[str, str]) -> Group | None:
    """Return the group with the kernels that take its problem; None, and a reason in `unable`, if only dense ones do.

    A kernel whose library is absent stays: that it is absent is a result.
    """
    said = {name: None if known[name].missing else known[name].supports(group.problem) for name in group.kernels}
    names = tuple(name for name, reason in said.items() if reason is None)
    if any(not known[name].dense and not known[name].missing for name in names):
        return replace(group, kernels=names)
    # What the kernel made for the pattern says, if it was asked.
    format_name = {"unstructured": "csr", "stored": "csr"}.get(group.problem.pattern.name, group.problem.pattern.name)
    unable[str(group.problem)] = said.get(format_name) or "no sparse kernel that was asked for takes it"
    return None


def _described(shape: Alike, problems: dict[str, str], reasons: dict[str, str]) -> dict[str, Any]:
    layer = shape.first
    return {
        "layers": [other.name for other in shape.layers],
        "operator": layer.operator,
        "op": layer.op,
        "text": shape_text(layer),
        "sizes": list(layer.shape),
        "columns": layer.columns,
        "groups": 1 if layer.conv is None else layer.conv.groups,
        "input": None if layer.conv is None else [layer.conv.height, layer.conv.width],
        "output": None if layer.output is None else list(layer.output),
        "macs": layer.macs,
        "uneven_padding": uneven(layer),
        "problems": problems,
        "reasons": reasons,
    }


def engine_request(model: Model) -> dict[str, Any]:
    """Return what `sparsebench.bench.engine` is to run, or why it cannot, as ``missing``."""
    if model.format != "onnx":
        return {"missing": f"ONNX Runtime runs no .{model.format} file"}
    if model.times > 1:
        return {"missing": f"the file fixes a batch that is 1/{model.times} of the one its layers are measured at"}
    if absent := engine.missing():
        return {"missing": absent}
    opened = [str(entry) for entry in model.inputs if entry.shape is None or not _known(entry.shape)]
    if opened:
        return {"missing": f"the sizes of input {', '.join(opened)} are open: --input-shape NAME=1x3x224x224"}
    inputs = {entry.name: list(entry.shape or ()) for entry in model.inputs}
    return {"path": str(model.path.absolute()), "inputs": inputs}


def _known(shape: Sequence[int | str]) -> bool:
    return all(isinstance(size, int) for size in shape)


def estimate_s(plan: RunPlan) -> float:
    """Guess how many seconds a plan takes; it may be wrong by half."""
    return sum(_group_s(group, plan.kernels[group.problem.op], plan.settings.effort) for group in plan.groups)


def _group_s(group: Group, known: Mapping[str, Kernel], effort: Effort) -> float:
    problem = group.problem
    flops = 2.0 * problem.M * problem.K * problem.columns
    dense_s = flops / (_GFLOPS * 1e9 * group.threads)
    each = [
        max(effort.sample_s, dense_s if known[name].dense else dense_s * problem.density * 2) + effort.settle_s
        for name in group.kernels
        if not known[name].missing
    ]
    least, most = effort.min_rounds * sum(each), effort.max_rounds * sum(each)
    return _PREPARE_S + min(max(effort.seconds, least), most)


def columns_of(layer: Layer, columns: int) -> Layer:
    """Return a layer of a file without a graph with an N that the user names; a convolution's map stays unknown."""
    return replace(layer, columns=columns) if layer.op == "matmul" and layer.columns is None else layer
