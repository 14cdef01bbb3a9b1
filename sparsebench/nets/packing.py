"""A layer's weights in the format that its pattern is made for."""

from __future__ import annotations

from sparsebench import formats
from sparsebench.formats import lane_groups
from sparsebench.nets.base import Weighted
from sparsebench.operands import Weights
from sparsebench.patterns import Block, Complementary


def pack(layer: Weighted, weights: Weights) -> formats.Format:
    """Pack one matrix of a layer: dense, complementary, in blocks, or as compressed rows.

    Raises
    ------
    InputError
        If a weight is not zero outside the mask, or the mask is not of the layer's pattern.
    """
    match layer.pattern:
        case None:
            return formats.Dense.pack(weights.dense)
        case Complementary(lanes=lanes) as pattern:
            assert weights.mask.owner is not None  # Complementary.draw and prune give one, and reading checks it
            return formats.Complementary.pack(weights.dense, weights.mask.owner, lanes, pattern.overlay(layer.density))
        case Block(rows=rows, cols=cols):
            return formats.BlockSparse.pack(weights.dense, weights.mask.allowed, (rows, cols))
        case _:
            return formats.Csr.pack(weights.dense, weights.mask.allowed)


def packed_bytes(layer: Weighted, weights: Weights) -> int:
    """Bytes of one matrix that a multiplication reads: values, and for sparse ones the inputs of each lane group."""
    K = weights.dense.shape[1]
    match pack(layer, weights):
        case formats.Complementary() as matrix:
            return lane_groups.from_complementary(matrix, K).nbytes
        case formats.BlockSparse() as matrix:
            return lane_groups.from_block(matrix, K).nbytes
        case formats.Csr() as matrix:
            return lane_groups.from_csr(matrix, K).nbytes
        case matrix:
            return matrix.nbytes
