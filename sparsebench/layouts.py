"""How activations lie in memory: row-major, column-major, or in blocks of columns that need no packing.

A blocked matrix [R, N] is a sequence of column blocks, each contiguous [R, width] in row-major order. Blocks are as
even as possible, at most `WIDEST` columns and always whole cache lines, the last one padded. The layout depends on N
alone, neither on the kernel nor on the instruction-set level, so that one kernel's output is the next one's input
(oneDNN blocks channels in the same way: nChw16c).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sparsebench.memory import ALIGNMENT, aligned_copy, aligned_empty

Layout = Literal["row", "column", "blocked"]

LINE = ALIGNMENT // 4
# The widest register tile: three vectors of 16 floats.
WIDEST = 3 * LINE

Matrix = NDArray[np.float32]


def column_blocks(N: int) -> tuple[int, ...]:
    """Widths of the blocks of N columns, left to right; their sum is N rounded up to whole cache lines."""
    lines = -(-N // LINE)
    blocks = -(-lines * LINE // WIDEST)
    return tuple(LINE * (lines // blocks + (i < lines % blocks)) for i in range(blocks))


def shape_of(rows: int, N: int, layout: Layout) -> tuple[int, ...]:
    """Shape of the C-ordered array that holds [rows, N]: transposed if column-major, flat if blocked."""
    match layout:
        case "row":
            return rows, N
        case "column":
            return N, rows
        case "blocked":
            return (rows * sum(column_blocks(N)),)


def empty(rows: int, N: int, layout: Layout) -> Matrix:
    """Return an uninitialised, aligned float32 array for [rows, N] in this layout."""
    return aligned_empty(shape_of(rows, N, layout))


def _blocks(flat: Matrix, rows: int, N: int) -> Iterator[tuple[Matrix, slice]]:
    """Yield each block as [rows, width] and the columns of the matrix that it holds."""
    column = 0
    for width in column_blocks(N):
        block = flat[rows * column : rows * (column + width)].reshape(rows, width)
        yield block, slice(column, min(column + width, N))
        column += width


def arrange(matrix: Matrix, layout: Layout) -> Matrix:
    """Return row-major float32 [R, N] in `layout`: itself, or a new array with zeros in the padding."""
    if layout == "row":
        return matrix
    if layout == "column":
        return aligned_copy(matrix.T)
    rows, N = matrix.shape
    flat = empty(rows, N, layout)
    for block, columns in _blocks(flat, rows, N):
        block[:, : columns.stop - columns.start] = matrix[:, columns]
        block[:, columns.stop - columns.start :] = 0
    return flat


def restore(array: Matrix, rows: int, N: int, layout: Layout) -> Matrix:
    """Return what `arrange` was given: row-major [rows, N]."""
    if layout == "row":
        return array
    if layout == "column":
        return array.T
    matrix = aligned_empty((rows, N))
    for block, columns in _blocks(array, rows, N):
        matrix[:, columns] = block[:, : columns.stop - columns.start]
    return matrix


def flat(name: str, array: Matrix, shape: tuple[int, ...]) -> Matrix:
    """Return an operand as one dimension, without copying.

    Raises
    ------
    ValueError
        Unless it is C-ordered float32 of this shape; says what the plan takes.
    """
    if array.shape != shape:
        actual, wanted = (" x ".join(map(str, sides)) for sides in (array.shape, shape))
        raise ValueError(f"{name} is {actual}; the plan is for {wanted}")
    if array.dtype != np.float32 or not array.flags.c_contiguous:
        raise ValueError(f"{name} must be C-ordered float32")
    return array.reshape(-1)
