"""Complementary sparsity: sparse rows that do not overlap and so share one dense array.

L consecutive rows (a lane group) share their inputs; S consecutive lane groups (a set) own every input exactly once.
Introduced by Hunter, Spracklen and Ahmad 2021, "Two Sparsities Are Better Than One" (arXiv 2112.13896).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor
from typing import ClassVar, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from sparsebench.errors import InputError
from sparsebench.patterns.assignment import balanced_owners, partitioned_owners
from sparsebench.patterns.base import Mask, Pattern

Arrangement = Literal["balanced", "partitioned"]
LANES = (1, 4, 8, 16)
# Beyond, a set would hold more lane groups than a layer has inputs, and arrays of [sets, overlay] no longer fit.
MAX_OVERLAY = 4096
# A density may be this far from 1/S: 0.33 and 0.11, at 1 %, stand for 1/3 and 1/9.
_ROUNDING = 0.0101

_ASSIGN: dict[Arrangement, Callable[[NDArray[np.float64]], NDArray[np.int32]]] = {
    "balanced": balanced_owners,
    "partitioned": partitioned_owners,
}


@dataclass(frozen=True, slots=True)
class Complementary(Pattern):
    """Overlay S = 1 / density lane groups of `lanes` rows each, S a whole number.

    What is drawn has exactly the density 1/S; the one asked for may be rounded, by 1 %.

    In a balanced set every lane group owns K/S (+-1) inputs; in a partitioned one it owns exactly one of every S
    consecutive inputs, and at most one of the last K mod S. The last set may have fewer than S lane groups of real
    rows: the inputs that the absent ones own are used by nobody.
    """

    lanes: int = 8
    arrangement: Arrangement = "balanced"
    name: ClassVar[str] = "complementary"
    summary: ClassVar[str] = "1/density lane groups share one dense array: complementary/LANES[/partitioned]"

    def __post_init__(self) -> None:
        if self.lanes not in LANES:
            raise InputError(f"lanes is {self.lanes}; it must be one of {', '.join(map(str, LANES))}")
        if self.arrangement not in get_args(Arrangement):
            known = ", ".join(get_args(Arrangement))
            raise InputError(f"arrangement '{self.arrangement}' is not known; known: {known}")

    @classmethod
    def from_label(cls, parameters: list[str]) -> Self:
        """Build from the number of lanes and, optionally, the arrangement."""
        if len(parameters) not in (1, 2) or not (parameters[0].isascii() and parameters[0].isdecimal()):
            raise InputError(
                "pattern 'complementary' needs lanes and takes an arrangement, such as complementary/8 or"
                f" complementary/1/partitioned; got 'complementary/{'/'.join(parameters)}'"
            )
        return cls(int(parameters[0]), *parameters[1:])  # type: ignore[arg-type]

    def __str__(self) -> str:
        label = f"{self.name}/{self.lanes}"
        return label if self.arrangement == "balanced" else f"{label}/{self.arrangement}"

    def check(self, density: float) -> None:
        """Raise InputError unless density is 1/S of a whole number S from 1 to MAX_OVERLAY."""
        Pattern.check(self, density)
        if abs(density * self.overlay(density) - 1) > _ROUNDING:
            near = (ceil(1 / density), floor(1 / density))
            lower, upper = (f"1/{S} = {1 / S:.4g} (sparsity {1 - 1 / S:.4g})" for S in near)
            raise InputError(
                f"density {density:g} would overlay {1 / density:.4g} lane groups; pattern '{self.name}' takes whole"
                f" numbers of them: the nearest densities are {lower} and {upper}"
            )
        if self.overlay(density) > MAX_OVERLAY:
            raise InputError(
                f"density {density:g} would overlay {self.overlay(density)} lane groups; pattern '{self.name}' takes"
                f" at most {MAX_OVERLAY}, so densities from {1 / MAX_OVERLAY:.3g} up"
            )

    def overlay(self, density: float) -> int:
        """Lane groups in a set: the whole number nearest to 1/density, at least 1."""
        return max(1, round(1 / density))

    def draw(self, rows: int, cols: int, density: float, rng: np.random.Generator) -> Mask:
        """Draw a random mask of shape [rows, cols]."""
        self.check(density)
        overlay = self.overlay(density)
        groups = -(-rows // self.lanes)
        sets = -(-groups // overlay)
        # Where K mod S lane groups own one input more than the others, groups with rows come first.
        rank = rng.random((sets, overlay))
        rank[-1, groups - (sets - 1) * overlay :] += 1
        order = rank.argsort(axis=1).astype(np.int32)
        if self.arrangement == "balanced":
            owner = rng.permuted(order[:, np.arange(cols) % overlay], axis=1)
        else:
            full = np.broadcast_to(np.arange(overlay, dtype=np.int32), (sets, cols // overlay, overlay))
            tail = rng.permuted(order[:, : cols % overlay], axis=1)
            owner = np.hstack([rng.permuted(full, axis=2).reshape(sets, -1), tail])
        return Mask(owned_positions(owner, rows, self.lanes, overlay), owner)

    def prune(self, weights: NDArray[np.float32], density: float) -> Mask:
        """Choose, set by set, the owners that keep the most magnitude: an assignment problem solved exactly."""
        self.check(density)
        overlay = self.overlay(density)
        rows, cols = weights.shape
        set_rows = overlay * self.lanes
        owner = np.zeros((-(-rows // set_rows), cols), np.int32)
        if overlay > 1:
            for index, start in enumerate(range(0, rows, set_rows)):
                magnitude = np.abs(weights[start : start + set_rows], dtype=np.float64)
                score = np.zeros((overlay, cols))
                real = np.add.reduceat(magnitude, np.arange(0, len(magnitude), self.lanes), axis=0)
                score[: len(real)] = real
                owner[index] = _ASSIGN[self.arrangement](score)
        return Mask(owned_positions(owner, rows, self.lanes, overlay), owner)


def owned_positions(owner: NDArray[np.int32], rows: int, lanes: int, overlay: int) -> NDArray[np.bool_]:
    """Return the bool [rows, K] mask in which each row has the inputs that its lane group owns.

    `owner` is int32 [sets, K] with values in 0 .. overlay - 1.
    """
    allowed = np.empty((rows, owner.shape[1]), np.bool_)
    set_rows = overlay * lanes
    for index, start in enumerate(range(0, rows, set_rows)):
        stop = min(start + set_rows, rows)
        group = np.arange(stop - start, dtype=np.int32) // lanes
        np.equal(owner[index], group[:, None], out=allowed[start:stop])
    return allowed
