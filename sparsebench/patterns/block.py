"""Non-zeros in whole blocks of fixed size on a grid that starts at the first row and column."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from sparsebench.errors import InputError
from sparsebench.patterns.base import Mask, Pattern, largest, share_of

_SIZE = re.compile(r"(\d+)x(\d+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Block(Pattern):
    """Blocks of `rows` x `cols` that are non-zero as a whole: round(density * number of blocks), at least 1.

    The matrix cuts the blocks at its right and lower edge, so a mask's density is only near the one asked for
    where the block does not divide the matrix.
    """

    rows: int
    cols: int
    name: ClassVar[str] = "block"
    summary: ClassVar[str] = "whole blocks, such as block/4x4 (rows x columns)"

    def __post_init__(self) -> None:
        if self.rows < 1 or self.cols < 1:
            raise InputError(f"block is {self.rows}x{self.cols}; both sides must be at least 1")

    @classmethod
    def from_label(cls, parameters: list[str]) -> Self:
        """Build from one part that gives the size, such as ["4x4"]."""
        size = _SIZE.fullmatch(parameters[0]) if len(parameters) == 1 else None
        if size is None:
            raise InputError(f"pattern 'block' needs a size, such as block/4x4; got 'block/{'/'.join(parameters)}'")
        return cls(int(size[1]), int(size[2]))

    def __str__(self) -> str:
        return f"{self.name}/{self.rows}x{self.cols}"

    def draw(self, rows: int, cols: int, density: float, rng: np.random.Generator) -> Mask:
        """Draw a random mask of shape [rows, cols], uniform over the choices of blocks."""
        self.check(density)
        grid = (-(-rows // self.rows), -(-cols // self.cols))
        positions = grid[0] * grid[1]
        chosen = np.zeros(positions, np.bool_)
        chosen[rng.choice(positions, share_of(density, positions), replace=False, shuffle=False)] = True
        return self._expand(chosen.reshape(grid), rows, cols)

    def prune(self, weights: NDArray[np.float32], density: float) -> Mask:
        """Keep the blocks whose sum of |w| is largest, of equal ones the first in row-major order."""
        self.check(density)
        rows, cols = weights.shape
        strips = np.add.reduceat(np.abs(weights), np.arange(0, rows, self.rows), axis=0, dtype=np.float64)
        score = np.add.reduceat(strips, np.arange(0, cols, self.cols), axis=1)
        return self._expand(largest(score, share_of(density, score.size)), rows, cols)

    def _expand(self, chosen: NDArray[np.bool_], rows: int, cols: int) -> Mask:
        """Turn a grid of chosen blocks into a mask of shape [rows, cols]."""
        full = chosen.repeat(self.rows, axis=0)[:rows].repeat(self.cols, axis=1)
        return Mask(np.ascontiguousarray(full[:, :cols]))
