"""What a model would gain if it were sparse, from a finished run of ``sparsebench model FILE --what-if``.

A layer's dense time is that of the fastest dense kernel, its sparse time that divided by the speed-up over it in the
same rounds. Of all layers the times add up; the rest of the model takes what an engine needs for it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from zlib import crc32

import numpy as np

from sparsebench.bench.stats import Interval, median, ratio_interval
from sparsebench.errors import InputError
from sparsebench.models.amdahl import Gain, Part, Values, gain, median_of, middle, ratio_of
from sparsebench.models.engine_share import Share, share
from sparsebench.report.kernel_kinds import in_float32, is_dense
from sparsebench.results import CaseResult

BEST = "best of each layer"
# The measured layers explain the engine's time if their sum is within so much of it.
EXPLAINED = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """A shape in one combination of pattern and sparsity: its fastest sparse kernel beside the fastest dense one."""

    label: str
    case: CaseResult
    dense: CaseResult
    speedup: Values

    @property
    def pays(self) -> bool:
        """Whether it is faster than dense."""
        return bool(self.speedup[0] > 1)

    @property
    def interval(self) -> Interval:
        """The speed-up with its interval, as every report has it."""
        return ratio_interval(self.dense.samples_s, self.case.samples_s)


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """Layers of one shape.

    Attributes
    ----------
    record
        As `sparsebench.models.what_if` wrote it.
    dense_s
        Seconds of one layer with the fastest dense kernel, the median over the groups in which it was measured.
    dense
        Its name.
    choices
        By the combination's label.
    reasons
        Why there is no choice, by label.
    engine_s
        Seconds that the engine spends in one of these layers; None where that is not known.
    engine_nodes
        How many of them are nodes of their own in the engine.
    """

    record: Mapping[str, Any]
    dense_s: Values
    dense: str
    choices: dict[str, Choice]
    reasons: dict[str, str]
    engine_s: float | None = None
    engine_nodes: int = 0

    @property
    def uses(self) -> int:
        """How many layers have this shape."""
        return len(self.record["layers"])

    def best(self, labels: Sequence[str]) -> Choice | None:
        """Return the fastest choice among labels, if one was measured."""
        found = [self.choices[label] for label in labels if label in self.choices]
        return max(found, key=lambda choice: float(choice.speedup[0]), default=None)


@dataclass(frozen=True, slots=True, eq=False)
class EngineTime:
    """The dense model in an engine.

    Attributes
    ----------
    seconds
        Of one inference.
    visits
        Its median each time that it was measured during the run.
    """

    version: str
    seconds: Values
    visits: tuple[float, ...]
    share: Share

    @property
    def rest_s(self) -> Values:
        """Seconds of all but the measured layers."""
        return self.seconds * (1 - self.share.measured)


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """The model in one combination, or with the best pattern of each layer.

    Attributes
    ----------
    sparse
        Layers that are sparse then; the others stay dense, as the combination makes them no faster or they cannot
        have it.
    kept_l2
        Share of the squared L2 norm that pruning keeps, the mean over the weights of the measured shapes that are
        sparse; None where none is, or nothing was pruned.
    """

    pattern: str
    density: float | None
    gain: Gain
    sparse: int
    kept_l2: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """All that was found at one thread count and level."""

    threads: int
    level: str
    shapes: tuple[Shape, ...]
    engine: EngineTime | None
    wholes: tuple[Whole, ...] = field(default=())

    @property
    def layers(self) -> int:
        """Layers that were measured."""
        return sum(shape.uses for shape in self.shapes)

    @property
    def dense_s(self) -> float:
        """Seconds of the measured layers together, dense."""
        return float(sum(shape.uses * shape.dense_s[0] for shape in self.shapes))

    @property
    def explained(self) -> float | None:
        """Share of the engine's time that the dense layers' times add up to; None without an engine."""
        return None if self.engine is None else self.dense_s / float(self.engine.seconds[0])


def record_of(run: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a run's record says of its model.

    Raises
    ------
    InputError
        If it is no run of a model.
    """
    if "model" not in run:
        raise InputError("the run is not of a model; such a run is made by: sparsebench model FILE --what-if 0.9,0.95")
    record: Mapping[str, Any] = run["model"]
    return record


def find(run: Mapping[str, Any], results: Sequence[CaseResult]) -> list[Setting]:
    """Return what was found, by thread count.

    Raises
    ------
    InputError
        If it is no run of a model, or no layer has been measured dense and sparse.
    """
    model = record_of(run)
    groups: dict[tuple[int, str], dict[str, list[CaseResult]]] = {}
    for result in results:
        of_setting = groups.setdefault((result.threads, _level(run, result)), {})
        of_setting.setdefault(result.problem, []).append(result)
    found = [_setting(model, threads, level, cases) for (threads, level), cases in groups.items()]
    found = [setting for setting in found if setting.shapes]
    if not found:
        raise InputError("no layer of the model has been measured both dense and sparse")
    return found


def _level(run: Mapping[str, Any], result: CaseResult) -> str:
    """Return the level asked for: that of a result is its kernel's own."""
    return next((group["level"] for group in run.get("groups", ())), result.level)


def _setting(
    model: Mapping[str, Any],
    threads: int,
    level: str,
    cases: Mapping[str, list[CaseResult]],
) -> Setting:
    measured = {i: shape for i, record in enumerate(model["shapes"]) if (shape := _shape(record, cases))}
    engine = _engine(model, threads, measured)
    shapes = [shape if engine is None else _in_engine(shape, index, engine) for index, shape in measured.items()]
    wholes = _wholes(model["combinations"], shapes, engine) if shapes else ()
    return Setting(threads, level, tuple(shapes), engine, wholes)


def _in_engine(shape: Shape, index: int, engine: EngineTime) -> Shape:
    nodes = engine.share.nodes.get(index, 0)
    seconds = engine.share.layers[index] * float(engine.seconds[0]) / nodes if nodes else None
    return replace(shape, engine_s=seconds, engine_nodes=nodes)


def _shape(record: Mapping[str, Any], cases: Mapping[str, list[CaseResult]]) -> Shape | None:
    choices, reasons, dense = {}, dict(record["reasons"]), []
    for label, problem in record["problems"].items():
        able = [case for case in cases.get(problem, ()) if _comparable(case)]
        rivals = [case for case in able if is_dense(case.kernel)]
        sparse = [case for case in able if not is_dense(case.kernel)]
        if rivals:
            dense.append(min(rivals, key=_median))
        if rivals and sparse:
            fastest = min(sparse, key=_median)
            ratios = ratio_of(dense[-1].samples_s, fastest.samples_s, _draws(fastest))
            choices[label] = Choice(label, fastest, dense[-1], ratios)
        else:
            reasons[label] = "not measured yet" if problem not in cases else _failure(cases[problem])
    if not choices:
        return None
    seconds = middle([median_of(case.samples_s, _draws(case)) for case in dense])
    return Shape(record, seconds, min(dense, key=_median).kernel, choices, reasons)


def _draws(case: CaseResult) -> np.random.Generator:
    """Return a generator that draws the same rounds for all cases that were timed in the same ones."""
    return np.random.default_rng(crc32(case.group.encode()))


def _comparable(case: CaseResult) -> bool:
    return case.status == "ok" and bool(case.samples_s and case.group) and in_float32(case.kernel)


def _failure(cases: Sequence[CaseResult]) -> str:
    failed = [case for case in cases if case.status not in ("ok", "unavailable", "unsupported")]
    return f"{failed[0].kernel}: {failed[0].status}" if failed else "no kernel for it is available"


def _median(case: CaseResult) -> float:
    return case.median_s if case.median_s is not None else float("inf")


def _engine(model: Mapping[str, Any], threads: int, measured: Collection[int]) -> EngineTime | None:
    engine = model["engine"]
    known = engine.get("threads", {}).get(str(threads))
    if not known or "nodes" not in known:
        return None
    visits = known["visits"]
    rng = np.random.default_rng(0)
    seconds = middle([median_of(samples, rng) for samples in visits])
    shares = share(known["nodes"], model["shapes"], measured)
    return EngineTime(engine["version"], seconds, tuple(median(samples) for samples in visits), shares)


def _wholes(
    combinations: Sequence[Mapping[str, Any]], shapes: Sequence[Shape], engine: EngineTime | None
) -> tuple[Whole, ...]:
    """Return the model in each combination, and below the last of each density the best of each layer."""
    found = []
    for density in dict.fromkeys(entry["density"] for entry in combinations):
        labels = [entry["label"] for entry in combinations if entry["density"] == density]
        patterns = [entry["pattern"] for entry in combinations if entry["density"] == density]
        for label, pattern in zip(labels, patterns, strict=True):
            found.append(_whole(pattern, density, shapes, [label], engine))
        if len(labels) > 1:
            found.append(_whole(BEST, density, shapes, labels, engine))
    return tuple(found)


def _whole(
    pattern: str, density: float | None, shapes: Sequence[Shape], labels: Sequence[str], engine: EngineTime | None
) -> Whole:
    best = [(shape, shape.best(labels)) for shape in shapes]
    taken = [(shape, choice) for shape, choice in best if choice is not None and choice.pays]
    faster = {id(shape): choice for shape, choice in taken}
    parts = [
        Part(shape.uses, shape.dense_s, faster[id(shape)].speedup if id(shape) in faster else None) for shape in shapes
    ]
    kept = [
        (choice.case.kept_l2, shape.uses * choice.case.M * choice.case.K)
        for shape, choice in taken
        if choice.case.kept_l2 is not None
    ]
    weights = sum(size for _, size in kept)
    return Whole(
        pattern,
        density,
        gain(parts, None if engine is None else engine.rest_s, None if engine is None else engine.seconds),
        sum(shape.uses for shape, _ in taken),
        sum(share * size for share, size in kept) / weights if weights else None,
    )
