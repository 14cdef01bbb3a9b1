# csr: Y = W X, every row of W its own list of (input, value).
# Layout: lane groups of one row; the lists cut so that a panel of X stays in L1.
# Parallel over column tiles, and over runs of rows with equally many non-zeros where tiles are few.
# Bound by one vector load per FMA: half to three quarters of the FMA peak at best (KERNELS: L = 1).

from sparsebench.formats import Csr
from sparsebench.formats.lane_groups import from_csr
from sparsebench.lane_plan import prepare_groups, supports_layout

NAME = "csr"
OP = "matmul"
SUMMARY = "compressed sparse rows, any pattern; panels of X in L1, rows interleaved"


def supports(problem):
    return supports_layout(problem)


def prepare(problem, weights, threads):
    matrix = Csr.pack(weights.dense, weights.mask.allowed)
    return prepare_groups(__name__, lambda kblock: from_csr(matrix, kblock), 1, problem, threads)
