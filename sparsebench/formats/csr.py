"""Compressed sparse rows: values, their columns, and where each row begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from sparsebench.formats.base import require_matrix, require_nothing_lost
from sparsebench.formats.compressed import Compressed, compress
from sparsebench.memory import aligned_copy, aligned_empty


@dataclass(frozen=True, eq=False)
class Csr(Compressed):
    """W as int32 `indptr` [M + 1], int32 `indices` [nnz] and float32 `values` [nnz]."""

    name: ClassVar[str] = "csr"
    unit: ClassVar[str] = "row"
    arrays: ClassVar = {"indptr": (np.int32, 1), "indices": (np.int32, 1), "values": (np.float32, 1)}

    @classmethod
    def pack(cls, dense: NDArray[np.float32], allowed: NDArray[np.bool_]) -> Self:
        """Store the positions where `allowed` [M, K] is True, also where a weight happens to be 0.

        Raises
        ------
        InputError
            If shapes or dtypes differ, a non-zero weight is not allowed, or there are 2^31 positions or more.
        """
        require_matrix(dense, allowed)
        indptr, indices = compress(allowed)
        values = aligned_copy(dense[allowed])
        require_nothing_lost(dense, values)
        return cls(dense.shape, indptr, indices, values)

    def unpack(self) -> NDArray[np.float32]:
        """Return W, float32 [M, K]."""
        dense = aligned_empty(self.shape)
        dense.fill(0)
        dense[np.repeat(np.arange(self.shape[0]), np.diff(self.indptr)), self.indices] = self.values
        return dense

    def check(self) -> None:
        """Raise InputError unless rows and columns are in order, and values are finite and as many as indices."""
        self.check_indices(*self.shape)
        self.require_shape("values", self.indices.shape)
        self.require_finite("values")
