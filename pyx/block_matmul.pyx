# block: Y = W X, W made of dense r x c blocks.
# Layout: lane groups of r rows (padded to 4, 8 or 16; taller blocks in pieces of 16), c inputs a block.
# Parallel over column tiles and runs of block rows with equally many blocks.
# Bound by the FMA units for r >= 4; by loads, like csr, for r = 1.

from sparsebench.formats import BlockSparse
from sparsebench.formats.lane_groups import block_lanes, from_block
from sparsebench.lane_plan import prepare_groups, supports_layout

NAME = "block"
OP = "matmul"
SUMMARY = "blocks of r x c; the rows of a block share each load of X"


def supports(problem):
    return supports_layout(problem) if problem.pattern.name == "block" else "needs pattern 'block'"


def prepare(problem, weights, threads):
    block = (problem.pattern.rows, problem.pattern.cols)
    matrix = BlockSparse.pack(weights.dense, weights.mask.allowed, block)
    return prepare_groups(__name__, lambda kblock: from_block(matrix, kblock), block_lanes(block[0]), problem, threads)
