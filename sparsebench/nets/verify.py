"""Checks a compiled network against float64, every stage on the input that it really had.

The end alone would not do: k-winners of numbers that differ by rounding may differ, and so may all that follows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sparsebench.bench.verify import EPSILON, Verdict, mistrusted
from sparsebench.nets.base import Weighted
from sparsebench.nets.compile import CompiledNetwork, Stage
from sparsebench.nets.layers import GELU
from sparsebench.nets.network import Sequential
from sparsebench.nets.operands import NetworkOperands
from sparsebench.nets.reference import apply

Floats = NDArray[np.float32]
# Roundings of bias and activation; erff is within 1 unit in the last place, and GELU's slope below 1.13.
_MORE_ROUNDINGS = 8


@dataclass(eq=False)
class NetworkReference:
    """The network, and what it would compute with the magnitudes of its weights: the scale of rounding errors."""

    operands: NetworkOperands
    _traced: dict[int, tuple[Verdict, Floats]] = field(default_factory=dict, init=False)

    def judge(self, plan: CompiledNetwork, out: Floats) -> Verdict:
        """Check every stage of a plan on the whole batch, and that `out` is what the stages gave, bit by bit."""
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

    The bound is that of `sparsebench.bench.verify.Reference`; layers without weights only choose among numbers, so that
    they must be exact, but for GELU.
    """
    expected = source.astype(np.float64)
    scale = np.abs(expected)
    length, exact = 0, True
    for name in stage.names:
        layer = network.layer(name)
        expected = apply(network, name, expected)
        if isinstance(layer, Weighted):
            scale = apply(magnitudes, name, scale)
            length = max(np.count_nonzero(part.mask.allowed, axis=1).max() for part in network.weights(name))
            exact = False
        elif isinstance(layer, GELU):
            exact = False
    if exact:
        return (0.0 if np.array_equal(target, expected) else np.inf), 0.0
    difference = np.abs(target - expected)
    relative = difference / np.where(scale > 0, scale, np.finfo(np.float64).tiny)
    return float(relative.max()), (length + _MORE_ROUNDINGS) * EPSILON
