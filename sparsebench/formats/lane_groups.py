"""The packed layout that all native kernels read: groups of L rows that share one list of inputs.

A CSR row is a lane group of 1, a block row of r x c blocks is one of r rows whose list holds c inputs a block, a
complementary lane group is one by definition, and a dense matrix is lane groups that list every input. One register
tile (`pyx/lane_groups.h`) therefore serves them all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparsebench.formats import BlockSparse, Complementary, Csr
from sparsebench.memory import aligned_copy, aligned_empty
from sparsebench.patterns.complementary import LANES
from sparsebench.tiling import MAX_KBLOCK


@dataclass(frozen=True, eq=False, slots=True)
class LaneGroups:
    """W [M, K] as lane groups, their lists cut at multiples of `kblock`.

    Attributes
    ----------
    lanes
        L: 1, 4, 8 or 16.
    start
        int64 [kblocks * groups + 1]; list (b, g) is the slots start[b * groups + g] up to the next.
    index
        uint16 [slots]; input minus b * kblock, ascending in each list.
    values
        float32 [slots, L], zero where a row does not exist.
    row, rows
        int32 [groups]; first row of Y and how many rows (at most L) the group has.
    """

    shape: tuple[int, int]
    lanes: int
    kblock: int
    kblocks: int
    start: NDArray[np.int64]
    index: NDArray[np.uint16]
    values: NDArray[np.float32]
    row: NDArray[np.int32]
    rows: NDArray[np.int32]

    @property
    def groups(self) -> int:
        """Number of lane groups."""
        return len(self.row)

    @property
    def nbytes(self) -> int:
        """Bytes that one multiplication reads of W: values, inputs and list boundaries."""
        return self.start.nbytes + self.index.nbytes + self.values.nbytes


def assemble(
    shape: tuple[int, int],
    lanes: int,
    kblock: int,
    group: NDArray[np.integer],
    inputs: NDArray[np.integer],
    values: NDArray[np.float32],
    row: NDArray[np.integer],
    rows: NDArray[np.integer],
) -> LaneGroups:
    """Sort slots by (block of K, group, input) and build the lists.

    `group` and `inputs` are [slots], `values` [slots, lanes]; `row` and `rows` are [groups].
    """
    kblock = min(kblock, MAX_KBLOCK, shape[1])
    kblocks = -(-shape[1] // kblock)
    groups = len(row)
    cell = (inputs // kblock).astype(np.int64) * groups + group
    order = np.argsort(cell * kblock + inputs % kblock, kind="stable")
    start = np.zeros(kblocks * groups + 1, np.int64)
    np.cumsum(np.bincount(cell, minlength=kblocks * groups), out=start[1:])
    # One slot more than used: a matrix without non-zeros still has an address to point at.
    packed = aligned_empty((len(order) + 1, lanes))
    np.take(values, order, axis=0, out=packed[:-1])
    packed[-1] = 0
    index = aligned_empty(len(order) + 1, np.uint16)
    index[:-1] = inputs[order] % kblock
    index[-1] = 0
    return LaneGroups(
        shape, lanes, kblock, kblocks, start, index, packed, aligned_copy(row, np.int32), aligned_copy(rows, np.int32)
    )


def from_csr(matrix: Csr, kblock: int) -> LaneGroups:
    """Lane groups of one row each."""
    rows = matrix.shape[0]
    group = np.repeat(np.arange(rows, dtype=np.int64), np.diff(matrix.indptr))
    return assemble(
        matrix.shape, 1, kblock, group, matrix.indices, matrix.values[:, None], np.arange(rows), np.ones(rows, np.int32)
    )


def block_lanes(block_rows: int) -> int:
    """Lanes that hold a block's rows with the least padding; taller blocks are cut into pieces of 16."""
    return next((lanes for lanes in LANES if block_rows <= lanes), LANES[-1])


def from_block(matrix: BlockSparse, kblock: int) -> LaneGroups:
    """Lane groups of one block row each, or of pieces of it where a block has more rows than 16."""
    M, K = matrix.shape
    block_rows, block_cols = matrix.block
    lanes = block_lanes(block_rows)
    pieces = -(-block_rows // lanes)
    padded = np.zeros((len(matrix.indices), pieces * lanes, block_cols), np.float32)
    padded[:, :block_rows] = matrix.values
    block_row = np.repeat(np.arange(len(matrix.indptr) - 1, dtype=np.int64), np.diff(matrix.indptr))
    # [block, piece, col, lane]: the order of slots before sorting.
    values = padded.reshape(-1, pieces, lanes, block_cols).transpose(0, 1, 3, 2).reshape(-1, lanes)
    group = np.repeat(block_row[:, None] * pieces + np.arange(pieces), block_cols, axis=1).ravel()
    cols = matrix.indices[:, None, None].astype(np.int64) * block_cols + np.arange(block_cols)
    inputs = np.broadcast_to(cols, (len(matrix.indices), pieces, block_cols)).ravel()
    inside = inputs < K
    first = np.arange(len(matrix.indptr) - 1)[:, None] * block_rows + np.arange(pieces) * lanes
    limit = np.minimum((np.arange(len(matrix.indptr) - 1)[:, None] + 1) * block_rows, M)
    rows = np.clip(limit - first, 0, lanes)
    return assemble(
        matrix.shape, lanes, kblock, group[inside], inputs[inside], values[inside], first.ravel(), rows.ravel()
    )


def from_complementary(matrix: Complementary, kblock: int) -> LaneGroups:
    """Return the complementary pattern's own lane groups; those beyond the last row are left out."""
    M, K = matrix.shape
    lanes, overlay = matrix.lanes, matrix.overlay
    groups = -(-M // lanes)
    sets = matrix.owner.shape[0]
    group = (np.arange(sets, dtype=np.int64)[:, None] * overlay + matrix.owner).ravel()
    inputs = np.broadcast_to(np.arange(K, dtype=np.int64), (sets, K)).ravel()
    real = group < groups
    row = np.arange(groups) * lanes
    return assemble(
        matrix.shape,
        lanes,
        kblock,
        group[real],
        inputs[real],
        matrix.values.reshape(-1, lanes)[real],
        row,
        np.minimum(lanes, M - row),
    )


def from_dense(values: NDArray[np.float32], lanes: int, kblock: int) -> LaneGroups:
    """Lane groups that list every input: values is float32 [M, K]."""
    M, K = values.shape
    groups = -(-M // lanes)
    padded = np.zeros((groups * lanes, K), np.float32)
    padded[:M] = values
    slots = padded.reshape(groups, lanes, K).transpose(0, 2, 1).reshape(-1, lanes)
    row = np.arange(groups) * lanes
    group = np.repeat(np.arange(groups, dtype=np.int64), K)
    return assemble((M, K), lanes, kblock, group, np.tile(np.arange(K), groups), slots, row, np.minimum(lanes, M - row))
