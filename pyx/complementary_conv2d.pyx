# complementary: S lane groups of L filters overlaid; in each set every tap (cin, kh, kw) belongs to one group.
# Layout: lane groups in order of filters, about K/S taps each, values [tap, L]; equal lists, so equal work.
# Parallel over samples, or over tiles and runs of lane groups.
# Bound by the FMA units for L >= 4 (8 x 3 tile), by loads for L = 1.

from sparsebench.conv_plan import prepare_conv, supports_conv
from sparsebench.formats import Complementary
from sparsebench.formats.lane_groups import from_complementary

NAME = "complementary"
OP = "conv2d"
SUMMARY = "S = 1/density filters overlaid in one dense array, L a lane group, without im2col"


def supports(problem):
    if problem.pattern.name != "complementary":
        return "needs pattern 'complementary'"
    return supports_conv(problem, problem.pattern.lanes)


def prepare(problem, weights, threads, **fused):
    lanes = problem.pattern.lanes
    matrix = Complementary.pack(weights.dense, weights.mask.owner, lanes, problem.overlay)
    return prepare_conv(__name__, lambda kblock: from_complementary(matrix, kblock), lanes, problem, threads, **fused)
