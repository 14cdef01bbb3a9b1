"""Partitioned complementary weights with one lane, laid out for vector permutes (`pyx/windows.h`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsebench.formats.complementary import Complementary
from sparsebench.memory import aligned_empty


@dataclass(frozen=True, eq=False, slots=True)
class Windows:
    """W [M, K] by windows of `width` consecutive inputs, of which every row owns at most one.

    Attributes
    ----------
    values
        float32 [blocks, windows, vectors, vlen]: the weight of row (block * vectors + vector) * vlen + i in a window;
        zero where the row owns nothing there or does not exist.
    place
        uint8, the same shape: which input of the window that weight belongs to; 0 where the weight is no one's.
    """

    shape: tuple[int, int]
    width: int
    values: NDArray[np.float32]
    place: NDArray[np.uint8]

    @property
    def nbytes(self) -> int:
        """Bytes that one multiplication reads of W."""
        return self.values.nbytes + self.place.nbytes


def fits(matrix: Complementary, vlen: int) -> bool:
    """Whether two vectors hold a window and every row owns at most one input of each: lanes 1, partitioned."""
    if matrix.lanes != 1 or matrix.overlay > 2 * vlen:
        return False
    owner, overlay = matrix.owner, matrix.overlay
    padding = -owner.shape[1] % overlay
    # Numbers of their own for inputs that do not exist: they repeat nobody's.
    padded = np.pad(owner, ((0, 0), (0, padding)), constant_values=-1)
    ordered = np.sort(padded.reshape(len(owner), -1, overlay), axis=2)
    return not ((ordered[..., 1:] == ordered[..., :-1]) & (ordered[..., 1:] >= 0)).any()


def from_complementary(matrix: Complementary, vlen: int, vectors: int) -> Windows:
    """Lay out a matrix that `fits`, `vectors` vectors of `vlen` rows a block."""
    M, K = matrix.shape
    overlay = matrix.overlay
    sets = len(matrix.owner)
    windows = -(-K // overlay)
    rows = -(-M // (vectors * vlen)) * vectors * vlen
    values = np.zeros((max(rows, sets * overlay), windows), np.float32)
    place = np.zeros(values.shape, np.uint8)
    k = np.arange(K)
    row = np.arange(sets)[:, None] * overlay + matrix.owner
    values[row, k // overlay] = matrix.values[..., 0]
    place[row, k // overlay] = k % overlay
    shape = (rows // (vectors * vlen), windows, vectors, vlen)

    def blocked(table: NDArray[Any]) -> NDArray[Any]:
        packed = aligned_empty(shape, table.dtype)
        packed[...] = table[:rows].reshape(shape[0], vectors, vlen, windows).transpose(0, 3, 1, 2)
        return packed

    return Windows((M, K), overlay, blocked(values), blocked(place))
