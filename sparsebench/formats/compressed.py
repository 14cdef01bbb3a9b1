"""What CSR and BSR have in common: pointers into sorted column indices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sparsebench.errors import InputError
from sparsebench.formats.base import Format
from sparsebench.memory import aligned_copy, aligned_empty


@dataclass(frozen=True, eq=False)
class Compressed(Format):
    """Compressed rows of entries: weights, or blocks of them.

    Attributes
    ----------
    indptr
        int32 [rows + 1]: the entries of row r are number indptr[r] to indptr[r + 1] - 1.
    indices
        int32 [entries]: the column of each entry, ascending within a row.
    values
        float32 [entries, ...].
    """

    indptr: NDArray[np.int32]
    indices: NDArray[np.int32]
    values: NDArray[np.float32]
    unit: ClassVar[str]

    def check_indices(self, rows: int, cols: int) -> None:
        """Raise InputError unless `indptr` and `indices` describe sorted, distinct entries of a rows x cols grid."""
        self.require_shape("indptr", (rows + 1,))
        if self.indptr[0] != 0:
            raise self.error(f"indptr[0] is {self.indptr[0]}; it must be 0")
        falls = np.flatnonzero(np.diff(self.indptr) < 0)
        if falls.size:
            row = int(falls[0])
            raise self.error(f"indptr falls from {self.indptr[row]} to {self.indptr[row + 1]} after {self.unit} {row}")
        self.require_shape("indices", (int(self.indptr[-1]),))
        outside = np.flatnonzero((self.indices < 0) | (self.indices >= cols))
        if outside.size:
            entry = int(outside[0])
            raise self.error(f"indices[{entry}] is {self.indices[entry]}; it must lie in 0 .. {cols - 1}")
        rising = np.diff(self.indices) > 0
        starts = self.indptr[1:-1]
        rising[starts[(starts > 0) & (starts < self.indices.size)] - 1] = True
        if not rising.all():
            entry = int(rising.argmin())
            row = int(np.searchsorted(self.indptr, entry, side="right")) - 1
            here, after = self.indices[entry : entry + 2]
            fault = "occurs twice" if here == after else f"stands before {after}"
            raise self.error(f"indices of {self.unit} {row}: {here} {fault}; they must ascend")


def compress(stored: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return `indptr` and `indices`, int32 and aligned, of the True positions of `stored` [rows, cols].

    Raises
    ------
    InputError
        If there are 2^31 positions or more, which int32 cannot count.
    """
    counts = np.count_nonzero(stored, axis=1)
    total = int(counts.sum())
    if total > np.iinfo(np.int32).max:
        raise InputError(f"the matrix stores {total} entries; int32 indices allow at most {np.iinfo(np.int32).max}")
    indptr = aligned_empty(stored.shape[0] + 1, np.int32)
    indptr[0] = 0
    np.cumsum(counts, out=indptr[1:])
    return indptr, aligned_copy(np.nonzero(stored)[1], np.int32)
