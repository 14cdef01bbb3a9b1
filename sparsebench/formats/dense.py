"""The dense format: every weight, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from sparsebench.formats.base import Format, require_matrix
from sparsebench.memory import aligned_copy


@dataclass(frozen=True, eq=False)
class Dense(Format):
    """W as it is: `values` is float32 [M, K]."""

    values: NDArray[np.float32]
    name: ClassVar[str] = "dense"
    arrays: ClassVar = {"values": (np.float32, 2)}

    @classmethod
    def pack(cls, dense: NDArray[np.float32]) -> Self:
        """Copy float32 [M, K]; raises InputError on another dtype or number of dimensions."""
        require_matrix(dense)
        return cls(dense.shape, aligned_copy(dense))

    def unpack(self) -> NDArray[np.float32]:
        """Return a copy of W, float32 [M, K]."""
        return aligned_copy(self.values)

    def check(self) -> None:
        """Raise InputError if the values have another shape or are not finite."""
        self.require_shape("values", self.shape)
        self.require_finite("values")
