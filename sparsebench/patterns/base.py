"""What every pattern can do: draw a random mask, prune given weights to one, name itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from sparsebench.errors import InputError


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """A drawn or pruned pattern.

    Attributes
    ----------
    allowed
        bool [M, K]; True where W may be non-zero.
    owner
        int32 [sets, K], only for complementary patterns: the lane group, 0 .. overlay - 1, to which
        each input belongs in each set of overlay * lanes rows.
    """

    allowed: NDArray[np.bool_]
    owner: NDArray[np.int32] | None = None

    @property
    def nnz(self) -> int:
        """Number of positions that may be non-zero."""
        return int(np.count_nonzero(self.allowed))


class Kept(NamedTuple):
    """What pruning kept of the dense weights: fractions of the L1 norm and of the squared L2 norm."""

    l1: float
    l2_squared: float


def kept(weights: NDArray[np.floating], mask: Mask) -> Kept:
    """Return the fractions of `weights`' L1 and squared L2 norms that lie inside `mask`.

    A matrix of zeros keeps everything: both fractions are 1.
    """
    magnitude = np.abs(weights, dtype=np.float64)
    total_l1 = float(magnitude.sum())
    total_l2 = float(np.vdot(magnitude, magnitude))
    if total_l2 == 0.0:
        return Kept(1.0, 1.0)
    inside = magnitude[mask.allowed]
    return Kept(float(inside.sum()) / total_l1, float(np.vdot(inside, inside)) / total_l2)


class Pattern(ABC):
    """A rule for where non-zeros may sit. Instances are frozen and hashable; `str` gives the label."""

    name: ClassVar[str]
    summary: ClassVar[str]

    @classmethod
    @abstractmethod
    def from_label(cls, parameters: list[str]) -> Self:
        """Build the pattern from the parts of its label after the name; raises InputError."""

    @abstractmethod
    def __str__(self) -> str:
        """Return the label, from which `parse_pattern` builds an equal pattern."""

    def check(self, density: float) -> None:
        """Raise InputError if the pattern cannot have this density."""
        if not 0 < density <= 1:
            raise InputError(f"density is {density:.10g}; it must lie in (0, 1]")

    def overlay(self, density: float) -> int | None:
        """Sparse kernels packed into one dense array, for patterns that do so."""
        return None

    @abstractmethod
    def draw(self, rows: int, cols: int, density: float, rng: np.random.Generator) -> Mask:
        """Draw a random mask of shape [rows, cols]."""

    @abstractmethod
    def prune(self, weights: NDArray[np.float32], density: float) -> Mask:
        """Return the mask of this pattern that keeps the most magnitude (sum of |w|) of `weights`."""


def largest(scores: NDArray[Any], count: int) -> NDArray[np.bool_]:
    """Mark exactly `count` largest values of `scores` (any shape, no NaN); of equal ones the lowest flat index first.

    `count` lies in 1 .. scores.size; the result has the shape of `scores`.
    """
    flat = scores.reshape(-1)
    cut = flat.size - count
    threshold = np.partition(flat, cut)[cut]
    chosen: NDArray[np.bool_] = flat > threshold
    ties = np.flatnonzero(flat == threshold)
    chosen[ties[: count - np.count_nonzero(chosen)]] = True
    return chosen.reshape(scores.shape)


def share_of(density: float, positions: int) -> int:
    """Return the number of `positions` that make up `density`: the nearest whole number, at least 1."""
    return max(1, round(density * positions))


def require_no_parameters(name: str, parameters: list[str]) -> None:
    """Raise InputError if a label has parameters that its pattern does not take."""
    if parameters:
        raise InputError(f"pattern '{name}' takes no parameters; got '{'/'.join(parameters)}'")
