"""Checks a compiled network against float64, every stage on the input that it really had.

The end alone would not do: k-winners of numbers that differ by rounding may differ, and so may all that follows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsebench.bench.verify import EPSILON, Verdict, mistrusted
from sparsebench.kernel import Dtype, Kernel
from sparsebench.nets.base import Weighted
from sparsebench.nets.compile import CompiledNetwork, Stage
from sparsebench.nets.engines import EngineReference, EngineWeights, engine_reference, for_engine
from sparsebench.nets.layers import GELU, KWinners2d
from sparsebench.nets.network import Sequential
from sparsebench.nets.operands import NetworkOperands
from sparsebench.nets.reference import apply

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
# Roundings of bias and activation; GELU's erf is within 5e-7, four of them.
_MORE_ROUNDINGS = 8


@dataclass(eq=False)
class NetworkReference:
    """The network, and what it would compute with the magnitudes of its weights: the scale of rounding errors."""

    operands: NetworkOperands
    _traced: dict[int, tuple[Verdict, Floats]] = field(default_factory=dict, init=False)
    _engines: dict[tuple[EngineWeights, Dtype], EngineReference] = field(default_factory=dict, init=False)

    def judge(self, plan: Any, out: Floats, kernel: Kernel | None = None) -> Verdict:
        """Check every stage of a plan on the whole batch, and that `out` is what the stages gave, bit by bit.

        Of another library's kernel the end alone is known: it is checked as `sparsebench.nets.engines` says.
        """
        if kernel is not None and kernel.engine:
            key = kernel.engine, kernel.dtype
            if key not in self._engines:
                network = for_engine(self.operands.weights, kernel.engine)
                self._engines[key] = engine_reference(network, self.operands.x, kernel.dtype)
            return self._engines[key].judge(out)
        return self._judge_stages(plan, out)

    def _judge_stages(self, plan: CompiledNetwork, out: Floats) -> Verdict:
        if id(plan) not in self._traced:
            self._traced[id(plan)] = self._trace(plan)
        verdict, expected = self._traced[id(plan)]
        if verdict.status == "wrong" or np.array_equal(out, expected):
            return verdict
        place = tuple(int(i) for i in np.argwhere(out != expected)[0])
        return Verdict(
            "wrong", np.inf, f"y{list(place)} is {out[place]:.7g}, its stages one by one gave {expected[place]:.7g}"
        )

    def _trace(self, plan: CompiledNetwork) -> tuple[Verdict, Floats]:
        part = len(plan.programs[0][0].source)
        magnitudes = plan.network.magnitudes()
        worst, outputs = 0.0, []
        for start in range(0, len(self.operands.x), part):
            for stage, source, target in plan.trace(self.operands.x[start : start + part]):
                relative, allowed = _stage_error(plan.network, magnitudes, stage, source, target)
                worst = max(worst, relative)
                if not relative <= allowed:
                    error = (
                        f"layer {' + '.join(stage.names)}, inputs from {start} on: relative error {relative:.1e},"
                        f" allowed {allowed:.1e}"
                    )
                    return Verdict("wrong", relative, error), np.empty(0, np.float32)
            outputs.append(target)
        expected = np.concatenate(outputs)
        return mistrusted(expected, worst) or Verdict("ok", worst), expected


def _stage_error(
    network: Sequential, magnitudes: Sequential, stage: Stage, source: Floats, target: Floats
) -> tuple[float, float]:
    """Return the largest |y - reference| / sum |w||x| of a stage, and how large it may be.

    The bound on rounding is that of `sparsebench.bench.verify.Reference`. Layers after the first go on with the least
    and the largest value that it allows: where rounding decides which channel wins, either is right.
    """
    first, *others = stage.names
    layer = network.layer(first)
    middle = apply(network, first, source)
    allowed, half = 0.0, np.zeros_like(middle)
    if isinstance(layer, Weighted):
        length = max(np.count_nonzero(part.mask.allowed, axis=1).max() for part in network.weights(first))
        allowed = (int(length) + _MORE_ROUNDINGS) * EPSILON
        half = allowed * apply(magnitudes, first, np.abs(source))
    elif isinstance(layer, GELU):
        allowed = _MORE_ROUNDINGS * EPSILON
        half = allowed * np.abs(source.astype(np.float64))
    low, high = middle - half, middle + half
    for name in others:
        low, high = _allowed_after(network, name, low, high)
    middle, half = (low + high) / 2, (high - low) / 2
    # What must be exact, as zeros that k-winners make, is off by infinitely much or not at all.
    scale = np.where(half > 0, half, np.finfo(np.float64).tiny)
    return allowed * float((np.abs(target - middle) / scale).max()), allowed


def _allowed_after(network: Sequential, name: str, low: Doubles, high: Doubles) -> tuple[Doubles, Doubles]:
    """Return the bounds of a layer's output for an input between bounds."""
    layer = network.layer(name)
    if isinstance(layer, KWinners2d) and layer.local:
        return _winners_between(layer.winners(low.shape[1:]), low, high)
    below, above = apply(network, name, low), apply(network, name, high)
    if isinstance(layer, GELU):
        # Not monotone, but its slope is nowhere beyond 1.13.
        middle, half = apply(network, name, (low + high) / 2), 0.565 * (high - low)
        return middle - half, middle + half
    return below, above


def _winners_between(k: int, low: Doubles, high: Doubles) -> tuple[Doubles, Doubles]:
    """Bounds of the k winners among the channels of each pixel: who may win or not has both its value and zero."""
    channels = low.shape[1]
    beaten = np.sort(high, axis=1)[:, channels - k - 1, None] if k < channels else -np.inf
    needed = np.sort(low, axis=1)[:, channels - k, None]
    surely, perhaps = low > beaten, high >= needed
    least = np.where(surely, low, np.where(perhaps, np.minimum(low, 0), 0))
    most = np.where(surely, high, np.where(perhaps, np.maximum(high, 0), 0))
    return least, most
