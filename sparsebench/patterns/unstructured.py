"""Non-zeros anywhere: drawn uniformly, or with the uneven rows and columns that magnitude pruning leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from sparsebench.errors import InputError
from sparsebench.patterns.base import Mask, Pattern, largest, share_of

# Standard deviation of the logarithm of a row's and a column's propensity; see Unstructured for their source.
ROW_SPREAD = 0.5
COLUMN_SPREAD = 0.3


@dataclass(frozen=True, slots=True)
class Unstructured(Pattern):
    """Exactly round(density * M * K) positions (at least 1), without further rule.

    With `skew`, a draw gives rows and columns log-normal propensities. The spreads are calibrated on the 151 matrices
    of the Deep Learning Matrix Collection (Gale et al. 2020, arXiv 2006.10901) that were magnitude-pruned to 95 %:
    ResNet-50 and a Transformer. The log spread of their row counts beyond that of a uniform draw has quartiles 0.22,
    0.32 and 0.47 (columns 0.19, 0.33 and 0.49), with extremes near 1; the largest row has 2.0, 2.7 and 4.9 (at most 15)
    times the mean count. Ours, 0.5 for rows and 0.3 for columns, draws largest rows of 3.4, 3.8 and 4.3 times the mean:
    the more skewed half of real layers, with ordinary columns.
    """

    skew: bool = False
    name: ClassVar[str] = "unstructured"
    summary: ClassVar[str] = (
        "non-zeros anywhere; unstructured/skewed draws uneven rows, as magnitude pruning leaves them"
    )

    @classmethod
    def from_label(cls, parameters: list[str]) -> Self:
        """Build from [] or ["skewed"]."""
        if parameters not in ([], ["skewed"]):
            raise InputError(f"pattern 'unstructured' takes nothing or 'skewed'; got '{'/'.join(parameters)}'")
        return cls(skew=bool(parameters))

    def __str__(self) -> str:
        return f"{self.name}/skewed" if self.skew else self.name

    def draw(self, rows: int, cols: int, density: float, rng: np.random.Generator) -> Mask:
        """Draw a random mask of shape [rows, cols]."""
        self.check(density)
        nnz = share_of(density, rows * cols)
        if self.skew:
            return Mask(_race(rows, cols, nnz, rng))
        allowed = np.zeros(rows * cols, np.bool_)
        allowed[rng.choice(rows * cols, nnz, replace=False, shuffle=False)] = True
        return Mask(allowed.reshape(rows, cols))

    def prune(self, weights: NDArray[np.float32], density: float) -> Mask:
        """Keep the entries of largest magnitude, of equal ones the first in row-major order, skewed or not."""
        self.check(density)
        return Mask(largest(np.abs(weights), share_of(density, weights.size)))


def _race(rows: int, cols: int, nnz: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw `nnz` positions without replacement, with probabilities proportional to row times column propensity.

    The first `nnz` arrivals of exponential clocks with these rates are such a sample (Efraimidis and Spirakis 2006,
    doi:10.1016/j.ipl.2005.11.003), so the total is exact and no row exceeds `cols`.
    """
    row_rate = rng.lognormal(0, ROW_SPREAD, rows).astype(np.float32)
    column_rate = rng.lognormal(0, COLUMN_SPREAD, cols).astype(np.float32)
    arrival = rng.standard_exponential((rows, cols), dtype=np.float32)
    arrival /= row_rate[:, None]
    arrival /= column_rate
    return largest(np.negative(arrival, out=arrival), nnz)
