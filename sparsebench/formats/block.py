"""Block compressed sparse rows (BSR): dense blocks of fixed size, their columns, and where each block row begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from sparsebench.errors import InputError
from sparsebench.formats.base import require_matrix, require_nothing_lost
from sparsebench.formats.compressed import Compressed, compress
from sparsebench.memory import aligned_copy


@dataclass(frozen=True, eq=False)
class BlockSparse(Compressed):
    """W in r x c blocks; M and K are padded with zeros to multiples of the block.

    `indptr` is int32 [Mb + 1] and `indices` int32 [blocks], in units of blocks, Mb = ceil(M / r), Kb = ceil(K / c);
    `values` is float32 [blocks, r, c], each block row by row.
    """

    block: tuple[int, int]
    name: ClassVar[str] = "block"
    unit: ClassVar[str] = "block row"
    arrays: ClassVar = {"indptr": (np.int32, 1), "indices": (np.int32, 1), "values": (np.float32, 3)}
    pairs: ClassVar = ("shape", "block")

    @classmethod
    def pack(cls, dense: NDArray[np.float32], allowed: NDArray[np.bool_], block: tuple[int, int]) -> Self:
        """Store every block of which `allowed` [M, K] is True at one position or more.

        Raises
        ------
        InputError
            If the block is empty, shapes or dtypes differ, or a non-zero weight is not allowed.
        """
        require_matrix(dense, allowed)
        if min(block) < 1:
            raise InputError(f"block is {block[0]}x{block[1]}; both sides must be at least 1")
        tiles = _tiled(dense, block)
        stored = np.asarray(_tiled(allowed, block).any(axis=(2, 3)))
        indptr, indices = compress(stored)
        values = aligned_copy(tiles[stored])
        require_nothing_lost(dense, values)
        return cls(dense.shape, indptr, indices, values, block)

    def unpack(self) -> NDArray[np.float32]:
        """Return W, float32 [M, K], without padding."""
        (M, K), (r, c) = self.shape, self.block
        Mb, Kb = self._grid()
        tiles = np.zeros((Mb, r, Kb, c), np.float32)
        tiles[np.repeat(np.arange(Mb), np.diff(self.indptr)), :, self.indices] = self.values
        return aligned_copy(tiles.reshape(Mb * r, Kb * c)[:M, :K])

    def check(self) -> None:
        """Raise InputError unless blocks are in order, finite, as many as indices, and zero in the padding."""
        if len(self.block) != 2 or min(self.block) < 1:
            raise self.error(f"block is {self.block}; it must be two numbers, both at least 1")
        (M, K), (r, c) = self.shape, self.block
        Mb, Kb = self._grid()
        self.check_indices(Mb, Kb)
        self.require_shape("values", (*self.indices.shape, r, c))
        self.require_finite("values")
        below = self.values[self.indptr[-2] :, r - (Mb * r - M) :]
        beside = self.values[self.indices == Kb - 1, :, c - (Kb * c - K) :]
        if below.any() or beside.any():
            raise self.error(f"a value in the padding, beyond {M} x {K}, is not zero")

    def _grid(self) -> tuple[int, int]:
        return -(-self.shape[0] // self.block[0]), -(-self.shape[1] // self.block[1])


def _tiled(matrix: NDArray[Any], block: tuple[int, int]) -> NDArray[Any]:
    """Return a view [Mb, Kb, r, c] of the matrix, or of a copy padded with zeros where the block does not divide it."""
    r, c = block
    M, K = matrix.shape
    if M % r or K % c:
        matrix = np.pad(matrix, ((0, -M % r), (0, -K % c)))
    return matrix.reshape(matrix.shape[0] // r, r, matrix.shape[1] // c, c).swapaxes(1, 2)
