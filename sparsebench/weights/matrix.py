"""A weight matrix, the reference to one, and what every source must hold to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsebench.errors import InputError


@dataclass(frozen=True, slots=True)
class MatrixRef:
    """A matrix that could be read, described from the headers of its file.

    Attributes
    ----------
    address
        What `sparsebench.weights.read` reads exactly this matrix from.
    name
        Short, for tables.
    rows, cols
        Shape [M, K] = [out, in] as it is read.
    stored_density
        nnz / (rows * cols) where the source is a sparse format, else None.
    """

    address: str
    name: str
    rows: int
    cols: int
    stored_density: float | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Matrix:
    """One weight matrix; its arrays are read-only because calls of `read` share them.

    Attributes
    ----------
    values
        float32 [M, K], C order, all finite.
    stored
        bool [M, K], for sparse sources: the positions that are stored, also where the value is 0. Else None.
    """

    values: NDArray[np.float32]
    stored: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        self.values.flags.writeable = False
        if self.stored is not None:
            self.stored.flags.writeable = False


def is_real(dtype: np.dtype[Any]) -> bool:
    """Whether arrays of this type can be weights: floats, and integers for quantised layers."""
    return dtype.kind in "fiu"


def is_layer(shape: tuple[int, ...]) -> bool:
    """Whether a shape is [out, in] or a convolution's [out, in, kh, kw], and not empty."""
    return len(shape) in (2, 4) and min(shape) > 0


def layer_shape(shape: tuple[int, ...], where: str) -> tuple[int, int]:
    """Return [M, K] of a layer: [out, in] as it is, a convolution's [out, in, kh, kw] as [out, in * kh * kw].

    Raises
    ------
    InputError
        If the shape has another number of axes, or one of them is empty. `where` names the source.
    """
    if is_layer(shape):
        return shape[0], math.prod(shape[1:])
    text = " x ".join(map(str, shape)) or "scalar"
    if len(shape) not in (2, 4):
        raise InputError(
            f"{where} is {len(shape)}-D ({text}); weights are [out, in], or [out, in, kh, kw] of a convolution"
        )
    raise InputError(f"{where} is empty ({text}); weights need at least one row and one column")


def require_real(dtype: np.dtype[Any], where: str) -> None:
    """Raise InputError unless arrays of this type can be weights."""
    if not is_real(dtype):
        raise InputError(f"{where} holds {dtype}; weights are real numbers, of a float or integer type")


def layer_values(array: NDArray[np.generic], where: str) -> NDArray[np.float32]:
    """Return an array's values as float32 [M, K] in C order, without a copy where it is that already.

    Raises
    ------
    InputError
        If the shape is no layer's, the type is no real number's, or a value is NaN or infinite as float32.
    """
    rows, cols = layer_shape(array.shape, where)
    require_real(array.dtype, where)
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(array.reshape(rows, cols), dtype=np.float32)
    finite = np.isfinite(values)
    if not finite.all():
        row, col = divmod(int(np.argmin(finite)), cols)
        raise InputError(f"{where} holds {values[row, col]} at row {row}, column {col}; weights must be finite float32")
    return values
