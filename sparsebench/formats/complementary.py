"""The complementary format: S lane groups overlaid in one dense array, and the owner of each of its columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from sparsebench.errors import InputError
from sparsebench.formats.base import Format, require_matrix, require_nothing_lost
from sparsebench.memory import aligned_copy


@dataclass(frozen=True, eq=False)
class Complementary(Format):
    """W as sets of S lane groups of L rows, in each of which every input has one owner.

    Attributes
    ----------
    lanes, overlay
        L and S; row r belongs to set r // (S L) and there to lane group r // L mod S.
    owner
        int32 [sets, K]: the lane group that owns input k, 0 .. S - 1.
    values
        float32 [sets, K, L]: the L weights of the owner for input k; zero for rows that do not exist.
    """

    lanes: int
    overlay: int
    owner: NDArray[np.int32]
    values: NDArray[np.float32]
    name: ClassVar[str] = "complementary"
    arrays: ClassVar = {"owner": (np.int32, 2), "values": (np.float32, 3)}

    @classmethod
    def pack(cls, dense: NDArray[np.float32], owner: NDArray[np.int32], lanes: int, overlay: int) -> Self:
        """Overlay `dense` [M, K] as `owner`, int32 [sets, K] with sets = ceil(ceil(M / L) / S), says.

        Raises
        ------
        InputError
            If shapes or dtypes differ, an owner is out of range, or a lane group has a weight where it owns nothing.
        """
        require_matrix(dense)
        if lanes < 1 or overlay < 1:
            raise InputError(f"lanes is {lanes} and overlay is {overlay}; both must be at least 1")
        M, K = dense.shape
        sets = _sets(M, lanes, overlay)
        if owner.shape != (sets, K) or owner.dtype != np.int32:
            raise InputError(f"owner is {owner.dtype} {list(owner.shape)}; it must be int32 {[sets, K]}")
        if owner.min() < 0 or owner.max() >= overlay:
            raise InputError(f"owner ranges from {owner.min()} to {owner.max()}; it must lie in 0 .. {overlay - 1}")
        padding = sets * overlay * lanes - M
        stacked = (np.pad(dense, ((0, padding), (0, 0))) if padding else dense).reshape(sets, overlay, lanes, K)
        overlaid = np.take_along_axis(stacked, owner[:, None, None, :], axis=1)[:, 0]
        values = aligned_copy(overlaid.swapaxes(1, 2))
        require_nothing_lost(dense, values)
        return cls((M, K), lanes, overlay, aligned_copy(owner, np.int32), values)

    def unpack(self) -> NDArray[np.float32]:
        """Return W, float32 [M, K]."""
        M, K = self.shape
        stacked = np.zeros((len(self.owner), self.overlay, self.lanes, K), np.float32)
        np.put_along_axis(stacked, self.owner[:, None, None, :], self.values.swapaxes(1, 2)[:, None], axis=1)
        return aligned_copy(stacked.reshape(-1, K)[:M])

    def check(self) -> None:
        """Raise InputError unless every input has one owner, groups are balanced, and values are finite.

        Every lane group that has rows must own K / S inputs, rounded down or up: kernels rely on equal trip counts.
        """
        if self.lanes < 1 or self.overlay < 1:
            raise self.error(f"lanes is {self.lanes} and overlay is {self.overlay}; both must be at least 1")
        M, K = self.shape
        sets = _sets(M, self.lanes, self.overlay)
        self.require_shape("owner", (sets, K))
        self.require_shape("values", (sets, K, self.lanes))
        outside = np.argwhere((self.owner < 0) | (self.owner >= self.overlay))
        if outside.size:
            at, k = map(int, outside[0])
            raise self.error(f"owner[{at}, {k}] is {self.owner[at, k]}; it must lie in 0 .. {self.overlay - 1}")
        self._check_balance()
        self.require_finite("values")
        rows = (self.owner[-1, :, None] + (sets - 1) * self.overlay) * self.lanes + np.arange(self.lanes)
        if self.values[-1][rows >= M].any():
            raise self.error(f"a value for a row beyond {M} is not zero")

    def _check_balance(self) -> None:
        K, groups = self.shape[1], -(-self.shape[0] // self.lanes)
        number = self.owner + np.arange(len(self.owner), dtype=np.int64)[:, None] * self.overlay
        owned = np.bincount(number.reshape(-1), minlength=groups)[:groups]
        few, many = K // self.overlay, -(-K // self.overlay)
        uneven = np.flatnonzero((owned < few) | (owned > many))
        if uneven.size:
            at, group = divmod(int(uneven[0]), self.overlay)
            wanted = str(few) if few == many else f"{few} or {many}"
            raise self.error(f"lane group {group} of set {at} owns {owned[uneven[0]]} inputs; it must own {wanted}")


def _sets(rows: int, lanes: int, overlay: int) -> int:
    return -(-rows // (lanes * overlay))
