"""Which register tile, which block of K and which thread grid a lane-group plan uses: a pure function of sizes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sparsebench.formats.lane_groups import LaneGroups

# Up to so many columns vectors over the rows of a lane group win, by lanes; measured on AVX-512 over N = 1 ... 16.
MAX_ROW_COLUMNS = {1: 1, 4: 2, 8: 7, 16: 12}
# A column takes lanes / vlen accumulators; more than so many leave too few of 16 registers.
MAX_ROW_ACCUMULATORS = 12


@dataclass(frozen=True, slots=True)
class Caches:
    """Data cache sizes in bytes, per core."""

    l1: int
    l2: int


@dataclass(frozen=True, eq=False, slots=True)
class Tiling:
    """How one plan goes over Y.

    Attributes
    ----------
    axis
        "rows": a vector holds rows of W; "columns": a vector holds columns of X.
    vlen
        Floats a vector.
    widths
        Vectors of each column tile, left to right; empty for axis "rows".
    chunks
        int64 [chunks + 1]; lane groups are cut here, so that threads share the non-zeros evenly.
    direct
        Tiles read X where it is, nothing is packed.
    panel_floats
        Scratch floats a thread.
    """

    N: int
    axis: Literal["rows", "columns"]
    vlen: int
    widths: tuple[int, ...]
    chunks: NDArray[np.int64]
    threads: int
    direct: bool
    panel_floats: int

    def describe(self, groups: LaneGroups) -> str:
        """One line for the result: axis, tile, blocks of K, threads used."""
        rows = min(groups.lanes, 8)
        tile = f"{groups.lanes} rows a vector" if self.axis == "rows" else f"{rows}x{max(self.widths)} vectors"
        if self.axis == "columns" and self.vlen:
            tile += f" of {self.vlen}"
        blocks = f", {groups.kblocks} blocks of K" if groups.kblocks > 1 else ""
        return f"{tile}{blocks}, {self.threads} thread{'s' if self.threads > 1 else ''}"


def max_vectors(lanes: int, level_vlen: int) -> int:
    """Widest tile in vectors: accumulators must leave registers for the inputs and a broadcast."""
    if lanes == 1:
        return 4
    return 2 if level_vlen == 4 else 3


def widths(N: int, vlen: int, most: int) -> tuple[int, ...]:
    """Cut N columns into tiles of at most `most` vectors, as evenly as possible."""
    vectors = -(-N // vlen)
    tiles = -(-vectors // most)
    return tuple(vectors // tiles + (i < vectors % tiles) for i in range(tiles))


def k_block(M: int, K: int, lanes: int, width: int, caches: Caches) -> int:
    """Return inputs whose panel of `width` columns stays in cache while all lane groups read it.

    One row at a time re-reads the panel with every FMA, so its panel should stay in L1, as long as Y's tile, which
    every block reads and writes, stays in L2. Tiles of four rows or more read the panel a quarter as often, which L2
    can serve.
    """
    in_l1 = lanes == 1 and 4 * M * width <= caches.l2 // 2
    budget = caches.l1 * 5 // 6 if in_l1 else caches.l2 // 2
    fit = max(64, budget // (4 * width))
    blocks = -(-K // fit)
    return -(-K // blocks)


def vector_length(N: int, level_vlen: int) -> int:
    """Return the shortest vector that holds N columns, at most the level's own."""
    return next((v for v in (4, 8) if v >= N and v < level_vlen), level_vlen)


def axis_of(N: int, lanes: int, level_vlen: int) -> Literal["rows", "columns"]:
    """Few columns are vectorised over the rows of a lane group, if it has any."""
    most = min(MAX_ROW_COLUMNS[lanes], max(1, MAX_ROW_ACCUMULATORS * level_vlen // lanes))
    return "rows" if most >= N else "columns"


def choose_kblock(N: int, M: int, K: int, lanes: int, level_vlen: int, caches: Caches) -> int:
    """Block of K for packing; K itself where no panel is packed."""
    if axis_of(N, lanes, level_vlen) == "rows":
        return K
    vlen = vector_length(N, level_vlen)
    return k_block(M, K, lanes, max(widths(N, vlen, max_vectors(lanes, level_vlen))) * vlen, caches)


def chunk_bounds(groups: LaneGroups, chunks: int) -> NDArray[np.int64]:
    """Cut the lane groups into `chunks` runs with about equally many slots."""
    slots = np.diff(groups.start).reshape(groups.kblocks, groups.groups).sum(axis=0)
    # Each group also costs its stores of Y, about what a handful of inputs cost.
    cost = np.cumsum(slots + 4)
    inner = np.searchsorted(cost, cost[-1] * np.arange(1, chunks) / chunks)
    return np.concatenate(([0], inner, [groups.groups])).astype(np.int64)


def choose(groups: LaneGroups, N: int, level_vlen: int, threads: int, caches: Caches) -> Tiling:
    """Plan the multiplication of packed weights with N columns on `threads` threads, `level_vlen` floats a vector."""
    # Waking and joining a thread takes about half a microsecond; below so many FMAs each it costs more than it brings.
    # A slot costs a vector's worth of FMAs even where it has a single one.
    work = groups.index.size * max(16, groups.lanes * N)
    used = max(1, min(threads, work // 30_000, groups.groups))
    if axis_of(N, groups.lanes, level_vlen) == "rows":
        return Tiling(N, "rows", groups.lanes, (), chunk_bounds(groups, used), used, True, 0)
    vlen = vector_length(N, level_vlen)
    tiles = widths(N, vlen, max_vectors(groups.lanes, level_vlen))
    # As few row chunks as give every thread the same number of items: each chunk packs its panel again.
    pieces = used // math.gcd(len(tiles), used) if len(tiles) < 4 * used else 1
    width = max(tiles) * vlen
    # Where X itself lies in L2 there is nothing to pack: tiles read its rows where they are.
    direct = N % vlen == 0 and (width == N or 4 * groups.shape[1] * N <= caches.l2 // 2)
    panel = 0 if direct else -(-groups.kblock * width // 16) * 16
    return Tiling(N, "columns", vlen, tiles, chunk_bounds(groups, pieces), used, direct, panel)
