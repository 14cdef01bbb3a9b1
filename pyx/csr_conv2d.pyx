# csr: every filter its own list of (tap, value), over the opened input.
# Layout: lane groups of one filter; the lists in the order of taps.
# Parallel over samples, or over tiles and runs of filters with equally many taps.
# Bound by one vector load per FMA.

from sparsebench.conv_plan import prepare_conv, supports_conv
from sparsebench.formats import Csr
from sparsebench.formats.lane_groups import from_csr

NAME = "csr"
OP = "conv2d"
SUMMARY = "compressed sparse filters, any pattern, without im2col; filters interleaved"


def supports(problem):
    return supports_conv(problem, 1)


def prepare(problem, weights, threads, **fused):
    matrix = Csr.pack(weights.dense, weights.mask.allowed)
    return prepare_conv(__name__, lambda kblock: from_csr(matrix, kblock), 1, problem, threads, **fused)
