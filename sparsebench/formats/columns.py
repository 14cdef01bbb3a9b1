"""Complementary weights by columns, for kernels that walk the non-zero activations (`pyx/sparse_columns.h`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparsebench.formats.complementary import Complementary
from sparsebench.memory import aligned_copy

# Rows within a set are numbered by uint16.
MAX_SET_ROWS = 1 << 16


@dataclass(frozen=True, eq=False, slots=True)
class Columns:
    """W [M, K]: for every input its owner lane group in each set of S lane groups of L rows.

    Attributes
    ----------
    lanes, overlay
        L and S.
    row
        uint16 [K, sets]; the first of the owner's rows, counted from the set's first.
    values
        float32 [K, sets, L]; the owner's weights, zero for rows that do not exist.
    """

    shape: tuple[int, int]
    lanes: int
    overlay: int
    row: NDArray[np.uint16]
    values: NDArray[np.float32]

    @property
    def nbytes(self) -> int:
        """Bytes that one multiplication by a dense vector would read of W."""
        return self.row.nbytes + self.values.nbytes


def too_large(lanes: int, overlay: int) -> str | None:
    """Return why sets of `overlay` lane groups of `lanes` rows cannot be packed by columns, or None."""
    if lanes * overlay > MAX_SET_ROWS:
        return f"a set has {lanes * overlay:,} rows; the packed layout numbers at most {MAX_SET_ROWS:,}"
    return None


def from_complementary(matrix: Complementary) -> Columns:
    """Turn sets of columns into columns of sets."""
    return Columns(
        matrix.shape,
        matrix.lanes,
        matrix.overlay,
        aligned_copy(matrix.owner.T * matrix.lanes, np.uint16),
        aligned_copy(matrix.values.swapaxes(0, 1)),
    )
