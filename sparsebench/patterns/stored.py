"""The non-zeros as the source of the weights stores them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from sparsebench.errors import InputError
from sparsebench.patterns.base import Mask, Pattern, require_no_parameters


@dataclass(frozen=True, slots=True)
class Stored(Pattern):
    """Neither drawn nor pruned: the weights come sparse, and stay as they are."""

    name: ClassVar[str] = "stored"
    summary: ClassVar[str] = "the non-zeros as a file stores them; needs weights from a file"

    @classmethod
    def from_label(cls, parameters: list[str]) -> Self:
        """Build from []."""
        require_no_parameters(cls.name, parameters)
        return cls()

    def __str__(self) -> str:
        return self.name

    def draw(self, rows: int, cols: int, density: float, rng: np.random.Generator) -> Mask:
        """Refuse: there is nothing to draw."""
        raise InputError("pattern 'stored' needs weights from a file")

    def prune(self, weights: NDArray[np.float32], density: float) -> Mask:
        """Return the positions of the non-zeros, whatever their share."""
        return Mask(weights != 0)
