"""A network of a problem with its weights, and the batch that it is run on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sparsebench.memory import aligned_empty
from sparsebench.nets.base import Weighted
from sparsebench.nets.load import load
from sparsebench.nets.network import Sequential
from sparsebench.patterns import Kept
from sparsebench.problem import Problem

# W dense fp32 + mask, and float64 twice for the reference; of an input and each layer's output fp32 and float64.
_W_BYTES = 4 + 1 + 2 * 8
_Y_BYTES = 4 + 8


@dataclass(frozen=True, eq=False)
class NetworkOperands:
    """What every mode of a network computes on: `weights` is the network with its weights, x [N, *input shape]."""

    weights: Sequential
    x: NDArray[np.float32]

    @property
    def nnz(self) -> int:
        """Weights that may be non-zero, of all layers."""
        return sum(self.weights.nonzeros().values())

    @property
    def macs(self) -> tuple[int, int]:
        """Multiply-adds for one input, by the weights that may be non-zero and by all."""
        rows = self.weights.describe()
        return sum(row.macs for row in rows), sum(row.dense_macs for row in rows)

    @property
    def kept(self) -> Kept | None:
        """None: weights are drawn or loaded, nothing is pruned here."""
        return None


def estimate_bytes(problem: Problem) -> int:
    """Bytes that the network, its reference and one batch take."""
    assert problem.net is not None
    net = load(problem.net.address)
    weights = sum(layer.size for layer in net.layers if isinstance(layer, Weighted))
    return weights * _W_BYTES + problem.N * sum(int(np.prod(shape)) for shape in net.shapes) * _Y_BYTES


def make_operands(problem: Problem) -> NetworkOperands:
    """Draw or read the network's weights, and draw x from a normal distribution.

    Raises
    ------
    InputError
        If the network or its weights cannot be read.
    """
    assert problem.net is not None
    net = load(problem.net.address)
    drawn = problem.weights == "random"
    net = net.initialize(problem.seed) if drawn else net.load(Path(problem.weights))
    rng = np.random.default_rng([problem.seed, problem.K, problem.N, 1])
    x = aligned_empty(problem.x_shape)
    x[...] = rng.standard_normal(problem.x_shape, dtype=np.float32)
    return NetworkOperands(net, x)
