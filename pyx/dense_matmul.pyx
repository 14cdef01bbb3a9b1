# dense: Y = W X with every weight, zeros included.
# Layout: lane groups of 16 rows that list all K inputs: the same tiles as the sparse kernels, as their yardstick.
# Parallel over column tiles and runs of row groups.
# Bound by the FMA units from about N = 16, by W's bytes below.

from sparsebench.formats.lane_groups import from_dense
from sparsebench.lane_plan import prepare_groups, supports_layout

NAME = "dense"
OP = "matmul"
SUMMARY = "all weights, zeros included, with the tiles of the sparse kernels"
DENSE = True
LANES = 16


def supports(problem):
    return supports_layout(problem)


def prepare(problem, weights, threads):
    return prepare_groups(__name__, lambda kblock: from_dense(weights.dense, LANES, kblock), LANES, problem, threads)
