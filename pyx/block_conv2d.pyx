# block: dense blocks of r filters x c taps, over the opened input.
# Layout: lane groups of r filters (padded to 4, 8 or 16; taller blocks in pieces of 16), c taps a block.
# Parallel over samples, or over tiles and runs of block rows.
# Bound by the FMA units for r >= 4; by loads, like csr, for r = 1.

from sparsebench.conv_plan import prepare_conv, supports_conv
from sparsebench.formats import BlockSparse
from sparsebench.formats.lane_groups import block_lanes, from_block

NAME = "block"
OP = "conv2d"
SUMMARY = "blocks of filters x taps; the filters of a block share each load of X"


def supports(problem):
    if problem.pattern.name != "block":
        return "needs pattern 'block'"
    if problem.conv.groups > 1:
        return "blocks would reach across groups of channels"
    return supports_conv(problem, block_lanes(problem.pattern.rows))


def prepare(problem, weights, threads, **fused):
    block = (problem.pattern.rows, problem.pattern.cols)
    matrix = BlockSparse.pack(weights.dense, weights.mask.allowed, block)
    lanes = block_lanes(block[0])
    return prepare_conv(__name__, lambda kblock: from_block(matrix, kblock), lanes, problem, threads, **fused)
