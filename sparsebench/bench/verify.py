"""Checks a kernel's answer against a float64 reference, before and after it is timed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sparsebench.convolution import im2col
from sparsebench.kernel import Dtype, Kernel, Plan
from sparsebench.layouts import restore
from sparsebench.operands import Operands, Weights
from sparsebench.results import Status

if TYPE_CHECKING:
    from sparsebench.nets.operands import NetworkOperands

EPSILON = float(np.finfo(np.float32).eps)
# Eight significant bits.
BF16_EPSILON = 2.0**-7
# Above this density BLAS in float64 beats SciPy's CSR product.
_DENSE_FROM = 0.15
# A reference with fewer non-zeros than this share proves little about a kernel that returns zeros.
_MISTRUST_BELOW = 0.01
_ALL = slice(None)
_TINY = float(np.finfo(np.float64).tiny)
# Below it float32 has ever fewer digits: a product is off by half of the smallest number, not by a share of itself.
# Trained weights hold such numbers.
_LEAST_NORMAL = float(np.finfo(np.float32).tiny)
# Elements compared at a time: few enough that what lies between stays in the cache.
_PART = 1 << 14


@dataclass(frozen=True, eq=False, slots=True)
class Reference:
    """The right answer and how far fp32 may be from it.

    Attributes
    ----------
    y
        float64 [M, N], or [N, M, H', W'] of a convolution.
    magnitude
        float64, the same shape; sum over k of |w| |x|, the scale of the rounding errors.
    length
        Longest reduction: non-zeros in the fullest row.
    dtype
        What a kernel computes in: "bf16" rounds W, X and Y to it, and adds in float32.
    """

    y: NDArray[np.float64]
    magnitude: NDArray[np.float64]
    length: int
    dtype: Dtype = "f32"

    def judge(self, plan: Plan, out: NDArray[np.float32], kernel: Kernel | None = None) -> Verdict:
        """Check the output that a plan of a kernel gave, in its own layout and in what it computes in."""
        rows, columns = self.y.shape[:2]
        expected = self if kernel is None else replace(self, dtype=kernel.dtype)
        return check(restore(out, rows, columns, plan.layout), expected)

    @property
    def tolerance(self) -> float:
        """Largest allowed |y - reference| / magnitude.

        For a sum of n products in any order the error is at most n u / (1 - n u) times the sum of magnitudes, u being
        half of epsilon (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1); we allow twice
        that, and four more roundings for kernels that scale or combine partial sums. In bf16 each product has two
        rounded factors, and each sum is rounded once more: three times half of its epsilon, and again twice that.
        """
        return (self.length + 4) * EPSILON + (3 * BF16_EPSILON if self.dtype == "bf16" else 0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Outcome of one check; `error` says in words what is wrong with a status other than ok."""

    status: Status
    max_rel_error: float
    error: str = ""


def _product(weights: Weights, x: NDArray[np.float64], absolute: bool, rows: slice = _ALL) -> NDArray[np.float64]:
    """Multiply some rows of W by x [K, N], or |W| by it; x is already absolute then."""
    if weights.mask.nnz > _DENSE_FROM * weights.dense.size:
        dense = weights.dense[rows].astype(np.float64)
        return np.asarray((np.abs(dense) if absolute else dense) @ x)
    matrix = weights.csr[rows].astype(np.float64)
    return np.asarray((abs(matrix) if absolute else matrix) @ x)


def _apply(operands: Operands, absolute: bool) -> NDArray[np.float64]:
    """Compute the product or the convolution, or the sum of its magnitudes."""
    x = operands.x.astype(np.float64)
    x = np.abs(x) if absolute else x
    conv = operands.conv
    if conv is None:
        return _product(operands.weights, x, absolute)
    filters = len(operands.weights.dense) // conv.groups
    y = np.empty((len(x), conv.groups, filters, conv.pixels))
    for group, channels in enumerate(np.split(x, conv.groups, axis=1)):
        columns = np.asarray(im2col(channels, conv.window).transpose(1, 0, 2).reshape(conv.taps, -1), np.float64)
        rows = slice(group * filters, (group + 1) * filters)
        product = _product(operands.weights, columns, absolute, rows)
        y[:, group] = product.reshape(filters, len(x), conv.pixels).swapaxes(0, 1)
    return y.reshape(len(x), conv.groups * filters, *conv.output)


class Judge(Protocol):
    """Knows the right answer of a problem."""

    def judge(self, plan: Any, out: NDArray[np.float32], kernel: Kernel | None = None) -> Verdict:
        """Check what a plan of a kernel gave, in its own layout."""


def judge_of(operands: Operands | NetworkOperands) -> Judge:
    """Return what knows the right answer for the operands of a problem."""
    if isinstance(operands, Operands):
        return reference(operands)
    from sparsebench.nets.verify import NetworkReference

    return NetworkReference(operands)


def reference(operands: Operands) -> Reference:
    """Compute the product or the convolution in float64 from the fp32 operands."""
    longest = int(np.count_nonzero(operands.weights.mask.allowed, axis=1).max())
    return Reference(_apply(operands, False), _apply(operands, True), longest)


def poison(out: NDArray[np.float32]) -> None:
    """Fill the output with NaN: what a kernel does not write is then seen."""
    out.fill(np.nan)


def check(out: NDArray[np.float32], expected: Reference) -> Verdict:
    """Compare a kernel's float32 output, row-major or NCHW, with the reference."""
    worst, at = 0.0, 0
    flat, y, magnitude = out.reshape(-1), expected.y.reshape(-1), expected.magnitude.reshape(-1)
    for start in range(0, flat.size, _PART):
        part = slice(start, start + _PART)
        relative = np.abs(flat[part] - y[part])
        # Where every product is zero the answer must be exactly zero.
        scale = np.where(magnitude[part] > 0, np.maximum(magnitude[part], _LEAST_NORMAL), _TINY)
        with np.errstate(over="ignore"):
            relative /= scale
        # The first NaN, if there is one.
        most = int(relative.argmax())
        if not np.isfinite(flat[start + most]):
            place = _place(start + most, out)
            return Verdict("wrong", np.inf, f"y{list(place)} is {out[place]}: not written, or overflowed")
        if relative[most] > worst:
            worst, at = float(relative[most]), start + most
    if worst > expected.tolerance:
        place = _place(at, out)
        return Verdict(
            "wrong",
            worst,
            f"y{list(place)} is {out[place]:.7g}, float64 says {expected.y[place]:.7g}"
            f" (relative error {worst:.1e}, allowed {expected.tolerance:.1e})",
        )
    return mistrusted(expected.y, worst) or Verdict("ok", worst)


def _place(index: int, out: NDArray[np.float32]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(index, out.shape))


def mistrusted(right: NDArray[Any], worst: float) -> Verdict | None:
    """Return the verdict on a right answer that is nearly all zero, with the largest error found; else None."""
    filled = np.count_nonzero(right) / right.size
    if filled >= _MISTRUST_BELOW:
        return None
    return Verdict("mistrusted", worst, f"only {filled:.2%} of the right answer is non-zero: it proves little")
