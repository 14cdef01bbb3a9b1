# dense: every weight, zeros included, over the opened input.
# Layout: lane groups of 16 filters (fewer where a group of channels has fewer) that list every tap.
# Parallel over samples, or over tiles and runs of filters.
# Bound by the FMA units.

from sparsebench.conv_plan import prepare_conv, supports_conv
from sparsebench.formats.lane_groups import from_dense
from sparsebench.patterns.complementary import LANES

NAME = "dense"
OP = "conv2d"
SUMMARY = "all weights, zeros included, with the tiles of the sparse kernels; any groups"
DENSE = True


def lanes_of(problem):
    """Most lanes that no lane group reaches across groups of channels with."""
    filters = problem.M // problem.conv.groups
    return max(lanes for lanes in LANES if problem.conv.groups == 1 or filters % lanes == 0)


def supports(problem):
    return supports_conv(problem, lanes_of(problem))


def prepare(problem, weights, threads, **fused):
    lanes = lanes_of(problem)
    return prepare_conv(
        __name__, lambda kblock: from_dense(weights.dense, lanes, kblock), lanes, problem, threads, **fused
    )
