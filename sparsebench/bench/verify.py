"""Checks a kernel's answer against a float64 reference, before and after it is timed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparsebench.operands import Operands, Weights
from sparsebench.results import Status

EPSILON = float(np.finfo(np.float32).eps)
# Above this density BLAS in float64 beats SciPy's CSR product.
_DENSE_FROM = 0.15
# A reference with fewer non-zeros than this share proves little about a kernel that returns zeros.
_MISTRUST_BELOW = 0.01


@dataclass(frozen=True, eq=False, slots=True)
class Reference:
    """The right answer and how far fp32 may be from it.

    Attributes
    ----------
    y
        float64 [M, N].
    magnitude
        float64 [M, N]; sum over k of |w| |x|, the scale of the rounding errors.
    length
        Longest reduction: non-zeros in the fullest row.
    """

    y: NDArray[np.float64]
    magnitude: NDArray[np.float64]
    length: int

    @property
    def tolerance(self) -> float:
        """Largest allowed |y - reference| / magnitude.

        For a sum of n products in any order the error is at most n u / (1 - n u) times the sum of magnitudes, u being
        half of epsilon (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1); we allow twice
        that, and four more roundings for kernels that scale or combine partial sums.
        """
        return (self.length + 4) * EPSILON


@dataclass(frozen=True, slots=True)
class Verdict:
    """Outcome of one check; `error` says in words what is wrong with a status other than ok."""

    status: Status
    max_rel_error: float
    error: str = ""


def _product(weights: Weights, x: NDArray[np.float32], absolute: bool) -> NDArray[np.float64]:
    wide = np.abs(x, dtype=np.float64) if absolute else x.astype(np.float64)
    if weights.mask.nnz > _DENSE_FROM * weights.dense.size:
        dense = np.abs(weights.dense, dtype=np.float64) if absolute else weights.dense.astype(np.float64)
        return np.asarray(dense @ wide)
    matrix = weights.csr.astype(np.float64)
    return np.asarray((abs(matrix) if absolute else matrix) @ wide)


def reference(operands: Operands) -> Reference:
    """Compute the product in float64 from the fp32 operands."""
    longest = int(np.count_nonzero(operands.weights.mask.allowed, axis=1).max())
    return Reference(
        _product(operands.weights, operands.x, False), _product(operands.weights, operands.x, True), longest
    )


def poison(out: NDArray[np.float32]) -> None:
    """Fill the output with NaN: what a kernel does not write is then seen."""
    out.fill(np.nan)


def check(out: NDArray[np.float32], expected: Reference) -> Verdict:
    """Compare a kernel's float32 [M, N] output with the reference."""
    if not np.isfinite(out).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(out))[0])
        return Verdict("wrong", np.inf, f"y[{row}, {column}] is {out[row, column]}: not written, or overflowed")
    difference = np.abs(out - expected.y)
    # Where every product is zero the answer must be exactly zero.
    scale = np.where(expected.magnitude > 0, expected.magnitude, np.finfo(np.float64).tiny)
    relative = difference / scale
    worst = float(relative.max())
    if worst > expected.tolerance:
        row, column = (int(i) for i in np.unravel_index(int(relative.argmax()), relative.shape))
        return Verdict(
            "wrong",
            worst,
            f"y[{row}, {column}] is {out[row, column]:.7g}, float64 says {expected.y[row, column]:.7g}"
            f" (relative error {worst:.1e}, allowed {expected.tolerance:.1e})",
        )
    filled = np.count_nonzero(expected.y) / expected.y.size
    if filled < _MISTRUST_BELOW:
        return Verdict("mistrusted", worst, f"only {filled:.2%} of the right answer is non-zero: it proves little")
    return Verdict("ok", worst)
