"""Which register tile, which block of K and which thread grid a lane-group plan uses: a pure function of sizes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsebench.layouts import Layout, column_blocks

if TYPE_CHECKING:
    from sparsebench.formats.lane_groups import LaneGroups

# Inputs are stored as 2 bytes, relative to their block of K.
MAX_KBLOCK = 1 << 16
# Up to so many columns vectors over the rows of a lane group win, by lanes; measured on AVX-512 over N = 1 ... 16.
BEST_ROW_COLUMNS = {1: 1, 4: 2, 8: 7, 16: 12}
# Up to so many there are tiles at all: MAX_ROW_COLUMNS of lane_groups.h.
MAX_ROW_COLUMNS = 12
# Waking and joining a thread takes about half a microsecond; below so many FMAs each it costs more than it brings.
MIN_FMAS = 30_000
# A column takes lanes / vlen accumulators; more than so many leave too few of 16 registers.
MAX_ROW_ACCUMULATORS = 12


@dataclass(frozen=True, slots=True)
class Caches:
    """Data cache sizes in bytes: of one core, but of the last level all that cores share; 0 where it is not known."""

    l1: int
    l2: int
    last: int = 0


Axis = Literal["rows", "columns"]
# What tuning tries in turn.
FREE = ("axis", "vectors", "kblock", "direct", "threads")


@dataclass(frozen=True, slots=True)
class Setting:
    """What a plan is chosen for: sizes, the layout of X and Y, floats a vector of the level, threads allowed.

    `samples` is how many matrices X the same W is multiplied with in one call.
    """

    M: int
    K: int
    N: int
    lanes: int
    layout: Layout
    level_vlen: int
    threads: int
    caches: Caches
    samples: int = 1

    @property
    def vlen(self) -> int:
        """Floats a vector, where columns are vectorised."""
        return vector_floats(self.N, self.level_vlen)

    @property
    def max_vectors(self) -> int:
        """Widest tile in vectors."""
        return 4 if self.lanes == 1 else shared_vectors(self.level_vlen)

    @property
    def max_row_columns(self) -> int:
        """Most columns that can be vectorised over the rows of a lane group; 0 where they cannot."""
        if self.layout != "row":
            return 0
        most = MAX_ROW_COLUMNS if self.lanes > 1 else 1
        return min(most, max(1, MAX_ROW_ACCUMULATORS * self.level_vlen // self.lanes))


@dataclass(frozen=True, slots=True)
class Choice:
    """What a plan is free to choose.

    Attributes
    ----------
    axis
        "rows": a vector holds rows of W; "columns": a vector holds columns of X.
    vectors
        Widest tile in vectors; 0 for axis "rows".
    kblock
        Inputs between which lists are cut, so that their rows of X stay in cache.
    direct
        Tiles read X where it is, nothing is packed.
    threads
        Threads used, of those allowed.
    streaming
        One lane group after another goes along all columns, rather than all of them over one tile after another.
    """

    axis: Axis
    vectors: int
    kblock: int
    direct: bool
    threads: int
    streaming: bool = False


class ColumnTile(NamedTuple):
    """`vectors` vectors of columns from `column` on, of which `valid` columns exist.

    The tile lies in the column block that starts at column `block`, and whose rows are `ld` floats apart; a row-major
    matrix is one block.
    """

    column: int
    vectors: int
    valid: int
    block: int
    ld: int


@dataclass(frozen=True, eq=False, slots=True)
class Tiling:
    """How one plan goes over Y.

    Attributes
    ----------
    vlen
        Floats a vector.
    tiles
        Left to right; empty for axis "rows".
    chunks
        int64 [chunks + 1]; lane groups are cut here, so that threads share the non-zeros evenly.
    panel_floats
        Scratch floats a thread.
    touch
        Column blocks, read in place, are first brought into L2.
    bypass
        Y is stored past the caches.
    """

    N: int
    layout: Layout
    choice: Choice
    vlen: int
    tiles: tuple[ColumnTile, ...]
    chunks: NDArray[np.int64]
    panel_floats: int
    touch: bool = False
    bypass: bool = False

    def describe(self, groups: LaneGroups) -> str:
        """One line for the result: axis, tile, blocks of K, layout, threads used."""
        if self.choice.axis == "rows":
            parts = [f"{groups.lanes} rows a vector"]
        else:
            widest = max(tile.vectors for tile in self.tiles)
            parts = [f"{min(groups.lanes, 8)}x{widest} vectors of {self.vlen}"]
        if groups.kblocks > 1:
            parts.append(f"{groups.kblocks} blocks of K")
        if self.layout != "row":
            parts.append(f"{self.layout} X and Y")
        if self.bypass:
            parts.append("Y past the caches")
        threads = self.choice.threads
        return ", ".join([*parts, f"{threads} thread{'s' if threads > 1 else ''}"])


def vector_floats(columns: int, level_vlen: int) -> int:
    """Return the length of the shortest vector that holds so many columns, at most the level's own."""
    return next((v for v in (4, 8) if v >= columns and v < level_vlen), level_vlen)


def shared_vectors(level_vlen: int) -> int:
    """Return the widest tile of rows that share inputs: accumulators leave registers for the inputs and a broadcast."""
    return 2 if level_vlen == 4 else 3


def widths(N: int, vlen: int, most: int) -> tuple[int, ...]:
    """Cut N columns into tiles of at most `most` vectors, as evenly as possible."""
    vectors = -(-N // vlen)
    tiles = -(-vectors // most)
    return tuple(vectors // tiles + (i < vectors % tiles) for i in range(tiles))


def column_tiles(N: int, layout: Layout, vlen: int, most: int) -> tuple[ColumnTile, ...]:
    """Cut the columns of X and Y into tiles of at most `most` vectors, none across two column blocks."""
    tiles = []
    start = 0
    for block in (N,) if layout == "row" else column_blocks(N):
        column = start
        for vectors in widths(block, vlen, most):
            # A block is padded to whole vectors; a row-major matrix ends where it ends.
            tiles.append(ColumnTile(column, vectors, min(vectors * vlen, start + block - column), start, block))
            column += vectors * vlen
        start += block
    return tuple(tiles)


def k_block(setting: Setting, width: int, in_l1: bool) -> int:
    """Return inputs whose panel of `width` columns stays in L1, or in half of L2, while all lane groups read it."""
    budget = setting.caches.l1 * 5 // 6 if in_l1 else setting.caches.l2 // 2
    fit = max(64, budget // (4 * width))
    blocks = -(-setting.K // fit)
    return -(-setting.K // blocks)


def model_axis(setting: Setting) -> Axis:
    """Few columns are vectorised over the rows of a lane group, if it has any."""
    return "rows" if min(BEST_ROW_COLUMNS[setting.lanes], setting.max_row_columns) >= setting.N else "columns"


def model_kblock(setting: Setting) -> int:
    """Return the block of K for packing; K itself where no panel is packed.

    One row at a time re-reads the panel with every FMA, so its panel should stay in L1, as long as Y's tile, which
    every block reads and writes, stays in L2. Tiles of four rows or more read the panel a quarter as often, which L2
    can serve.
    """
    if model_axis(setting) == "rows":
        return setting.K
    width = _widest(setting, setting.max_vectors) * setting.vlen
    return k_block(setting, width, setting.lanes == 1 and 4 * setting.M * width <= setting.caches.l2 // 2)


def _widest(setting: Setting, most: int) -> int:
    return max(tile.vectors for tile in column_tiles(setting.N, setting.layout, setting.vlen, most))


def worthwhile_threads(fmas: int, threads: int) -> int:
    """Return how many of `threads` an amount of work is worth."""
    return max(1, min(threads, fmas // MIN_FMAS))


def threads_for(groups: LaneGroups, columns: int, samples: int, threads: int) -> int:
    """Return how many of `threads` it is worth to multiply lane groups with `samples` matrices of so many columns."""
    # A slot costs a vector's worth of FMAs even where it has a single one.
    return worthwhile_threads(groups.index.size * max(16, groups.lanes * columns) * samples, threads)


def model_choice(setting: Setting, groups: LaneGroups) -> Choice:
    """Return what the cost model takes for packed weights: no plan is timed."""
    threads = threads_for(groups, setting.N, setting.samples, setting.threads)
    threads = min(threads, groups.groups * setting.samples)
    if model_axis(setting) == "rows":
        return Choice("rows", 0, groups.kblock, True, threads)
    most = setting.max_vectors
    in_place = _in_place(setting, most)
    # Where most rows of X are read by nobody, copying them all is the larger part of the work.
    few_reads = setting.layout == "row" and groups.kblocks == 1 and 2 * groups.index.size <= setting.K
    if few_reads and not in_place and _whole_vectors(setting):
        return Choice("columns", most, groups.kblock, True, threads, streaming=True)
    return Choice("columns", most, groups.kblock, in_place, threads)


def _in_place(setting: Setting, most: int) -> bool:
    """Whether to read X where it is: always if it is blocked, else where a panel is all of X or X lies in L2."""
    if setting.layout != "row":
        return True
    all_of_x = _widest(setting, most) * setting.vlen == setting.N
    return _whole_vectors(setting) and (all_of_x or setting.caches.l2 // 2 >= 4 * setting.K * setting.N)


def _bypasses(setting: Setting) -> bool:
    """Whether to store Y past the caches, which spares reading each line before it is overwritten.

    Only whole cache lines gain, of an AVX-512 store each; and only results that would not stay in the last cache beside
    all else that is there: from a quarter of it on. On 32 MB, 12.8 MB gain 0 to 30 %, 26 and 51 MB a factor of 3; 3 MB
    lose 30 %.
    """
    lines = setting.layout == "row" and setting.vlen == 16 and setting.N % 16 == 0
    return lines and 0 < setting.caches.last < 4 * 4 * setting.M * setting.N * setting.samples


def _whole_vectors(setting: Setting) -> bool:
    return setting.N % setting.vlen == 0


def alternatives(setting: Setting, choice: Choice, variable: str) -> list[Choice]:
    """Return `choice` with every other value of one field that is worth timing; `variable` is that field's name."""
    if variable == "axis":
        if not 1 < setting.N <= setting.max_row_columns:
            return []
        if choice.axis == "columns":
            return [Choice("rows", 0, setting.K, True, choice.threads)]
        most = setting.max_vectors
        kblock = k_block(setting, _widest(setting, most) * setting.vlen, False)
        return [Choice("columns", most, kblock, _in_place(setting, most), choice.threads)]
    if variable == "threads":
        return [replace(choice, threads=count) for count in sorted({1, setting.threads} - {choice.threads})]
    if choice.axis == "rows" or choice.streaming:
        return []
    if variable == "vectors":
        return [replace(choice, vectors=v) for v in range(1, setting.max_vectors + 1) if v != choice.vectors]
    if variable == "kblock":
        width = _widest(setting, choice.vectors) * setting.vlen
        blocks = {min(setting.K, MAX_KBLOCK), k_block(setting, width, True), k_block(setting, width, False)}
        return [replace(choice, kblock=block) for block in sorted(blocks - {choice.kblock})]
    assert variable == "direct", variable
    return [replace(choice, direct=not choice.direct)] if setting.layout == "row" and _whole_vectors(setting) else []


def preferred_lanes(N: int) -> int:
    """Return the complementary pattern's lanes that are fastest for N columns, by the reference run of suite poster.

    Up to 16 columns 16 lanes are 1.0 to 2.0 times as fast as 8 in every cell; beyond, both reach the same tile and 8
    leave pruning more freedom.
    """
    return 16 if N <= 16 else 8


def chunk_bounds(groups: LaneGroups, chunks: int) -> NDArray[np.int64]:
    """Cut the lane groups into `chunks` runs with about equally many slots."""
    slots = np.diff(groups.start).reshape(groups.kblocks, groups.groups).sum(axis=0)
    # Each group also costs its stores of Y, about what a handful of inputs cost.
    cost = np.cumsum(slots + 4)
    inner = np.searchsorted(cost, cost[-1] * np.arange(1, chunks) / chunks)
    return np.concatenate(([0], inner, [groups.groups])).astype(np.int64)


def pieces_of(threads: int, panels: int) -> int:
    """Row chunks: as few as give every thread the same number of items, for each chunk packs its panel again."""
    return threads // math.gcd(panels, threads) if panels < 4 * threads else 1


def lay_out(setting: Setting, choice: Choice, groups: LaneGroups) -> Tiling:
    """Turn a choice into tiles, chunks and scratch for weights that were packed with its block of K."""
    used = choice.threads
    if choice.axis == "rows":
        return Tiling(
            setting.N,
            setting.layout,
            choice,
            setting.lanes,
            (),
            chunk_bounds(groups, pieces_of(used, setting.samples)),
            0,
        )
    tiles = column_tiles(setting.N, setting.layout, setting.vlen, choice.vectors)
    pieces = groups.groups if choice.streaming else min(groups.groups, pieces_of(used, len(tiles) * setting.samples))
    width = max(tile.vectors for tile in tiles) * setting.vlen
    touch = setting.layout != "row" and setting.caches.l2 < 4 * setting.K * setting.N
    bypass = groups.kblocks == 1 and _bypasses(setting)
    panel = 0 if choice.direct else -(-groups.kblock * width // 16) * 16
    return Tiling(
        setting.N, setting.layout, choice, setting.vlen, tiles, chunk_bounds(groups, pieces), panel, touch, bypass
    )
