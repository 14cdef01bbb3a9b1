"""The matrices of a problem: the same W, X and mask for every kernel that competes on it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sparsebench import weights as sources
from sparsebench.convolution import Convolution
from sparsebench.errors import InputError
from sparsebench.formats import Csr
from sparsebench.memory import aligned_copy, aligned_empty, require_memory
from sparsebench.patterns import Kept, Mask, kept
from sparsebench.problem import Problem

if TYPE_CHECKING:
    from sparsebench.nets.operands import NetworkOperands

# W dense fp32 + mask + float64 reference of W's non-zeros; X and four outputs (ours, reference, bound, poison).
_W_BYTES = 4 + 1 + 8
_X_BYTES = 4 + 8
_Y_BYTES = 4 + 8 + 8 + 4
# float64, and its absolute values.
_COLUMN_BYTES = 8 + 8


@dataclass(frozen=True, eq=False)
class Weights:
    """One pruned weight matrix.

    Attributes
    ----------
    dense
        float32 [M, K], 64-byte aligned, exactly zero outside the mask.
    mask
        Where W may be non-zero; kernels store these positions, also where a value happens to be 0.
    kept
        What pruning kept of the source's magnitude; None where the mask was drawn or stored.
    original
        What these are a copy of, see `apart`; else None.
    """

    dense: NDArray[np.float32]
    mask: Mask
    kept: Kept | None = None
    original: Weights | None = None

    def apart(self) -> Weights:
        """Return the same W in memory of its own, and what is derived from it, too."""
        return replace(self, dense=aligned_copy(self.dense), original=self.original or self)

    @cached_property
    def csr(self) -> sparse.csr_array:
        """W in compressed sparse rows over the mask: int32 indices, sorted, explicit zeros kept."""
        packed = Csr.pack(self.dense, self.mask.allowed)
        empty: Any = sparse.csr_array
        matrix: sparse.csr_array = empty(self.dense.shape, dtype=np.float32)
        # Given to the constructor, SciPy would copy them to wherever its own allocation happens to lie.
        matrix.data, matrix.indices, matrix.indptr = packed.values, packed.indices, packed.indptr
        return matrix


@dataclass(frozen=True, eq=False)
class Operands:
    """What every kernel of a problem computes on: x is [K, N], or [N, channels, height, width] for a convolution."""

    weights: Weights
    x: NDArray[np.float32]
    conv: Convolution | None = None

    @property
    def nnz(self) -> int:
        """Weights that may be non-zero."""
        return self.weights.mask.nnz

    @property
    def kept(self) -> Kept | None:
        """What pruning kept of the source's magnitude; None where nothing was pruned."""
        return self.weights.kept


def estimate_bytes(problem: Problem) -> int:
    """Bytes that the operands, the reference and one output take, before any kernel packs."""
    if problem.net is not None:
        from sparsebench.nets import operands

        return operands.estimate_bytes(problem)
    weights = problem.M * problem.K * _W_BYTES
    # The reference of a convolution is a product with im2col's columns.
    columns = 0 if problem.conv is None else problem.conv.groups * problem.K * problem.columns * _COLUMN_BYTES
    return weights + columns + math.prod(problem.x_shape) * _X_BYTES + math.prod(problem.y_shape) * _Y_BYTES


def make_weights(problem: Problem, data: Path | None = None) -> Weights:
    """Draw or read W, and bring it to the problem's pattern.

    Raises
    ------
    InputError
        If the source cannot be read, has another shape, or holds NaN or infinity.
    """
    M, K = problem.M, problem.K
    if problem.weights == "random":
        rng = np.random.default_rng([problem.seed, M, K])
        mask = problem.pattern.draw(M, K, problem.density, rng)
        dense = aligned_empty((M, K))
        dense[...] = rng.standard_normal((M, K), dtype=np.float32)
        np.copyto(dense, 0, where=~mask.allowed)
        return Weights(dense, mask)
    matrix = sources.read(problem.weights, seed=problem.seed, data=data)
    if matrix.values.shape != (M, K):
        rows, cols = matrix.values.shape
        raise InputError(f"weights '{problem.weights}' are {rows} x {cols}; the problem asks for {M} x {K}")
    if problem.pattern.name == "stored":
        mask = Mask(matrix.stored if matrix.stored is not None else matrix.values != 0)
        if mask.nnz == 0:
            raise InputError(f"weights '{problem.weights}' hold no non-zero; nothing to measure")
        share = None
    else:
        mask = problem.pattern.prune(matrix.values, problem.density)
        share = kept(matrix.values, mask)
    dense = aligned_copy(matrix.values)
    np.copyto(dense, 0, where=~mask.allowed)
    return Weights(dense, mask, share)


MakeWeights = Callable[[Problem, Path | None], Weights]


class LastWeights:
    """Makes weights, and keeps the last: of a suite's problems, most differ from the one before in N alone."""

    def __init__(self) -> None:
        self._source: tuple[Any, ...] = ()
        self._weights: Weights | None = None

    def drop_unless_of(self, problem: Problem) -> None:
        """Forget what is kept if the problem has other weights: both might not fit in memory."""
        if _source(problem) != self._source:
            self._source, self._weights = (), None

    def make(self, problem: Problem, data: Path | None) -> Weights:
        """Return what `make_weights` would, W and mask shared with earlier calls but nothing that was derived."""
        self.drop_unless_of(problem)
        if self._weights is None:
            self._source, self._weights = _source(problem), make_weights(problem, data)
        return replace(self._weights)


def _source(problem: Problem) -> tuple[Any, ...]:
    """Return all that W follows from."""
    return (problem.M, problem.K, problem.pattern, problem.density, problem.seed, problem.weights)


def operands_of(
    problem: Problem, data: Path | None = None, make: MakeWeights = make_weights
) -> Operands | NetworkOperands:
    """Return what the kernels of a problem compute on: `make_operands`, or a network and its batch."""
    if problem.net is None:
        return make_operands(problem, data, make)
    from sparsebench.nets import operands

    require_memory(estimate_bytes(problem), f"problem {problem}")
    return operands.make_operands(problem)


def make_operands(problem: Problem, data: Path | None = None, make: MakeWeights = make_weights) -> Operands:
    """Build W and X of a problem from its seed and its source; the same problem gives the same operands.

    `make` gives W: `make_weights`, or one that keeps them.

    Raises
    ------
    InputError
        If the sizes would not fit in memory (refused before allocating), or the source is bad.
    """
    require_memory(estimate_bytes(problem), f"problem {problem}")
    weights = make(problem, data)
    rng = np.random.default_rng([problem.seed, problem.K, problem.N, 1])
    x = aligned_empty(problem.x_shape)
    x[...] = rng.standard_normal(problem.x_shape, dtype=np.float32)
    if problem.act_density < 1:
        x[rng.random(x.shape) >= problem.act_density] = 0
    return Operands(weights, x, problem.conv)
