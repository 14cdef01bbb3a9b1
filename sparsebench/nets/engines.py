"""A network as the user of a dense engine runs it, and whether an engine's answer is right.

No engine has k-winners: whoever runs one has trained with ReLU, so ReLU stands in their place. What an engine computes
is known at its end alone, not layer by layer as of our own plans (`sparsebench.nets.verify`): the error allowed there
is what roundings of every layer can become on their way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sparsebench.bench.verify import BF16_EPSILON, EPSILON, Verdict, mistrusted
from sparsebench.kernel import Dtype
from sparsebench.nets.base import Layer, Weighted
from sparsebench.nets.layers import GELU, KWinners, KWinners2d, ReLU
from sparsebench.nets.network import Sequential
from sparsebench.nets.reference import apply, forward

Doubles = NDArray[np.float64]
# Whose weights an engine computes with: the network's, zeros included, or as many that are drawn without zeros.
EngineWeights = Literal["stored", "dense"]

# An engine sums in an order of its own: of n roundings of random sign, more than 4 sqrt(n) together have a probability
# of 7e-4 (Higham and Mary, SIAM J. Sci. Comput. 41, 2019, theorem 2.4: 2 exp(-16 / 2)); the worst case, n, would let an
# engine pass that computes in bfloat16.
_SIGMAS = 4.0
# Roundings of bias and activation; an approximation of erf may be off by some more.
_MORE_ROUNDINGS = 16
# Passes with errors of random sign, and how many times the largest that they lead to is allowed.
_PASSES = 3
_MARGIN = 2.0


def for_engine(network: Sequential, weights: EngineWeights = "stored") -> Sequential:
    """Return what an engine runs in place of a network: folded, ReLU for k-winners, all weights in no pattern.

    k-winners right after a ReLU go without a substitute. With "dense" weights, the same layers have weights drawn
    from seed 0 without a pattern: what an engine makes of the zeros is the difference.

    Raises
    ------
    InputError
        If the network has no weights yet.
    """
    folded = network.fold()
    layers: list[Layer] = []
    for name, layer in folded.named_layers.items():
        if isinstance(layer, KWinners | KWinners2d):
            if not (layers and isinstance(layers[-1], ReLU)):
                layers.append(ReLU(name=name))
        elif isinstance(layer, Weighted):
            layers.append(replace(layer, pattern=None, density=1.0, name=name))
        else:
            layers.append(replace(layer, name=name))
    plain = Sequential(layers, folded.input_shape, folded.name)
    return plain.initialize(seed=0) if weights == "dense" else plain.prune(folded.parameters)


@dataclass(frozen=True, eq=False, slots=True)
class EngineReference:
    """The right answer for a batch, and how far fp32 may be from it.

    Attributes
    ----------
    y
        float64 [N, *output shape].
    allowed
        Largest |y - reference| that rounding explains, of any output.
    """

    y: Doubles
    allowed: float

    def judge(self, out: NDArray[np.float32]) -> Verdict:
        """Check an output; the error of the verdict is relative to the largest output."""
        off = np.abs(out - self.y)
        place = tuple(int(i) for i in np.unravel_index(int(off.argmax()), off.shape))
        if not np.isfinite(out[place]):
            return Verdict("wrong", np.inf, f"y{list(place)} is {out[place]}: not written, or overflowed")
        scale = float(np.abs(self.y).max()) or 1.0
        if off[place] > self.allowed:
            error = (
                f"y{list(place)} is {out[place]:.7g}, float64 says {self.y[place]:.7g} (error {off[place]:.1e},"
                f" rounding explains {self.allowed:.1e})"
            )
            return Verdict("wrong", float(off[place]) / scale, error)
        relative = float(off[place]) / scale
        return mistrusted(self.y, relative) or Verdict("ok", relative)


def engine_reference(network: Sequential, x: NDArray[np.float32], dtype: Dtype = "f32") -> EngineReference:
    """Compute what `for_engine` returned in float64, and what comes of errors in every layer.

    A layer's output may be off by 4 sqrt(n) roundings of its sums of magnitudes, n being its longest reduction. Passes
    in which every value is off by as much, up or down at random, show what that becomes at the end.

    Parameters
    ----------
    dtype
        What the engine computes in; "bf16" rounds weights, inputs and outputs of each layer to it.

    Raises
    ------
    InputError
        If x does not fit, or the network has no weights.
    """
    exact = forward(network, x, keep=True).outputs
    magnitudes = network.magnitudes()
    sizes: dict[str, Doubles] = {}
    source: NDArray[np.floating] = x
    for name, layer in network.named_layers.items():
        if isinstance(layer, Weighted):
            # Of zeros that are stored nothing is rounded.
            length = int(np.count_nonzero(network.parameters[f"{name}.weight"].reshape(layer.matrix), axis=2).max())
            sizes[name] = _allowed(length, dtype) * apply(magnitudes, name, np.abs(source))
        elif isinstance(layer, GELU):
            sizes[name] = _allowed(0, dtype) * np.abs(exact[name])
        source = exact[name]
    rng = np.random.default_rng(0)
    y = exact[network.names[-1]]
    worst = max(float(np.abs(_disturbed(network, x, sizes, rng) - y).max()) for _ in range(_PASSES))
    return EngineReference(y, _MARGIN * worst)


def _allowed(length: int, dtype: Dtype) -> float:
    """Return the error of a sum of products over that of their magnitudes; bf16's as in `sparsebench.bench.verify`."""
    rounding = float(_SIGMAS * np.sqrt(length) + _MORE_ROUNDINGS) * EPSILON / 2
    return rounding + (1.5 * BF16_EPSILON if dtype == "bf16" else 0)


def _disturbed(
    network: Sequential, x: NDArray[np.float32], sizes: dict[str, Doubles], rng: np.random.Generator
) -> Doubles:
    """Return the output of a pass in which every layer's output is off by its size, up or down."""
    current: Doubles = x.astype(np.float64)
    for name in network.names:
        current = apply(network, name, current)
        if name in sizes:
            current = current + np.where(rng.random(current.shape) < 0.5, -1.0, 1.0) * sizes[name]
    return current
